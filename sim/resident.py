"""The experts cached on the GPU: an eviction policy and the slots it governs, kept in step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence

from sim.cache import Policy, make_policy
from sim.program import Program
from sim.schedule import Reason
from sim.slots import Key


class ExpertCache:
    """One policy for all blocks (`scope` global) or one a block with an equal share of the slots (`scope` layer)."""

    def __init__(
        self, policy: str, blocks: Sequence[int], n_slots: int, *, scope: str = "layer",
        next_use: Callable[[Key, int], int] | None = None,
    ) -> None:  # fmt: skip
        self._scope = scope
        if scope == "global":
            shared: Policy[Key] = make_policy(policy, n_slots, next_use=next_use)
            self._policies = dict.fromkeys(blocks, shared)
        else:
            share, more = divmod(n_slots, len(blocks))
            self._policies = {
                block: make_policy(policy, share + (i < more), next_use=next_use) for i, block in enumerate(blocks)
            }

    def __contains__(self, key: Key) -> bool:
        return self._policies[key[0]].contains(key)

    def warm(self, keys: Iterable[Key]) -> list[Key]:
        """Fill with the first keys that there is room for, without any copy, the first as the most recent."""
        taken: Counter[Policy[Key]] = Counter()
        kept = []
        for key in keys:
            policy = self._policies[key[0]]
            if len(policy) + taken[policy] < policy.capacity:
                taken[policy] += 1
                kept.append(key)
        for key in reversed(kept):
            self._policies[key[0]].insert(key)
        return kept

    def touch(self, keys: Iterable[Key]) -> None:
        """Count a use of resident experts."""
        for key in keys:
            self._policies[key[0]].touch(key)

    def admit(
        self, p: Program, key: Key, *, protected: Container[Key], swap: bool = False, after: Iterable[int] = (),
        reason: Reason = Reason.DEMAND, priority: int = 0,
    ) -> int | None:  # fmt: skip
        """Load an expert, evicting another if there must be room; None if all that could leave are protected.

        `swap` copies the evicted weights back to the host, as engines do that keep one copy of each.
        """
        policy = self._policies[key[0]]
        if not policy.fits(key):
            victim = policy.victim(protected) if len(policy) else None
            if victim is None:
                return None
            policy.remove(victim)
            if swap:
                p.unload(*victim, priority=priority)
            else:
                p.drop(*victim)
        policy.insert(key)
        return p.load(*key, after=after, reason=reason, priority=priority)

    def tick(self, now: int) -> None:
        """Tell the policies the position in the run (what Belady counts by)."""
        for policy in self._policies.values():
            policy.now = now
