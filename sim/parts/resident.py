"""The experts cached on the GPU: an eviction policy and the slots it governs, kept in step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

from sim.cache import Policy, make_policy
from sim.program import Program
from sim.schedule import Reason
from sim.slots import Key


class ExpertCache:
    """One policy for all blocks (`scope` global) or one a block with an equal share of the slots (`scope` layer)."""

    def __init__(self, policy: str, blocks: Sequence[int], n_slots: int, *, scope: str = "layer") -> None:
        if scope == "global":
            shared: Policy[Key] = make_policy(policy, n_slots)
            self._policies = dict.fromkeys(blocks, shared)
        else:
            share, more = divmod(n_slots, len(blocks))
            self._policies = {block: make_policy(policy, share + (i < more)) for i, block in enumerate(blocks)}

    @property
    def capacities(self) -> list[int]:
        """Room of each cache, in the order of their blocks."""
        return [policy.capacity for policy in dict.fromkeys(self._policies.values())]

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

    def touch(self, keys: Iterable[Key], weights: Mapping[Key, float] | None = None) -> None:
        """Begin a layer's turn and count a use of its resident experts; `weights` are the gate's, over all tokens."""
        for policy in set(self._policies.values()):
            policy.now += 1
        for key in keys:
            self._policies[key[0]].touch(key, 1.0 if weights is None else weights[key])

    def admit(
        self, p: Program, key: Key, *, protected: Container[Key], swap: bool = False, after: Iterable[int] = (),
        reason: Reason = Reason.DEMAND, priority: int = 0, weight: float = 1.0,
    ) -> int | None:  # fmt: skip
        """Load an expert, evicting another if there must be room; None if all that could leave are protected.

        `swap` copies the evicted weights back to the host, as engines do that keep one copy of each. `weight` is the
        gate's.
        """
        policy = self._policies[key[0]]
        if not policy.fits(key):
            victim = policy.victim(protected, entering=key) if len(policy) else None
            if victim is None:
                return None
            self.evict(p, victim, swap=swap, priority=priority)
        policy.insert(key, weight)
        return p.load(*key, after=after, reason=reason, priority=priority)

    def evict(
        self, p: Program, key: Key, *, swap: bool = False, after: Iterable[int] = (), priority: int = 0
    ) -> int | None:
        """Take an expert out; returns the op that copies its weights back to the host if `swap` asks for that."""
        self._policies[key[0]].remove(key)
        if swap:
            return p.unload(*key, after=after, priority=priority)
        p.drop(*key)
        return None

    def room(self, block: int) -> bool:
        """Whether one more expert of a block fits without evicting another."""
        policy = self._policies[block]
        return len(policy) < policy.capacity
