"""Caches by name, and replaying accesses through them: hits, misses and evictions without a clock."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal, get_args

from sim.errors import InputError
from sim.policies import ARC, FIFO, LFU, LFUDA, LRU, MRS, NEVER, S3FIFO, Belady, FutureIndex, LeastStale, Sieve, Window
from sim.policy import K, Policy

__all__ = [
    "FIFO",
    "LFU",
    "LRU",
    "NEVER",
    "ONLINE",
    "POLICIES",
    "Belady",
    "FutureIndex",
    "Policy",
    "PolicyName",
    "ReplayResult",
    "make_policy",
    "replay",
]

PolicyName = Literal["lru", "lfu", "fifo", "lfu-da", "arc", "s3-fifo", "sieve", "least-stale", "mrs", "window"]
"""What knows the past alone."""

_ONLINE: dict[str, type[Policy[Any]]] = {
    "lru": LRU,
    "lfu": LFU,
    "fifo": FIFO,
    "lfu-da": LFUDA,
    "arc": ARC,
    "s3-fifo": S3FIFO,
    "sieve": Sieve,
    "least-stale": LeastStale,
    "mrs": MRS,
    "window": Window,
}
ONLINE: tuple[PolicyName, ...] = get_args(PolicyName)
POLICIES = (*ONLINE, "belady")


def make_policy(
    name: str,
    capacity: int,
    size_of: Callable[[K], int] | None = None,
    *,
    next_use: Callable[[K, int], int] | None = None,
) -> Policy[K]:
    """Return an empty cache; `belady` needs `next_use`. Raises InputError for an unknown name."""
    if name == "belady":
        if next_use is None:
            raise ValueError("belady needs next_use: it evicts by the future")
        return Belady(capacity, next_use, size_of)
    if name not in _ONLINE:
        raise InputError("unknown eviction policy", field="policy", value=name, remedy=f"use {', '.join(POLICIES)}")
    return _ONLINE[name](capacity, size_of)


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay counted; an access is one key of one batch, however often the batch repeats it."""

    hits: int
    misses: int
    evictions: int

    @property
    def accesses(self) -> int:
        """Hits and misses together."""
        return self.hits + self.misses

    @property
    def hit_rate(self) -> float:
        """Share of accesses that hit; NaN if there were none."""
        return self.hits / self.accesses if self.accesses else float("nan")


def replay(
    policy: Policy[K], batches: Iterable[Sequence[K]], weights: Iterable[Sequence[float]] | None = None
) -> ReplayResult:
    """Enter batch after batch (the experts that one layer needs at once) and count.

    A batch never evicts its own members. Keys that it repeats count once, at their last place: entered token
    by token, a prompt leaves its last token's experts the most recent. A member that finds no room beside the
    others streams through: a miss, not kept. The policy keeps what it held before; its `now` moves on by one
    a batch. `weights` are the gate's, one a key of each batch; those of a repeated key are summed up.
    """
    hits = misses = evictions = 0
    contains, touch = policy.contains, policy.touch
    for batch, given in zip(batches, repeat(None) if weights is None else weights, strict=weights is not None):
        members = dict.fromkeys(reversed(batch), 1.0) if given is None else _summed(batch, given)
        for key in reversed(members):
            if contains(key):
                touch(key, members[key])
                hits += 1
            else:
                misses += 1
                evictions += _admit(policy, key, members[key], members)
        policy.now += 1
    return ReplayResult(hits, misses, evictions)


def _summed(batch: Sequence[K], weights: Sequence[float]) -> dict[K, float]:
    """The keys from the last place to the first, with their weight in the whole batch."""
    members: dict[K, float] = {}
    for key, weight in zip(reversed(batch), reversed(weights), strict=True):
        members[key] = members.get(key, 0.0) + weight
    return members


def _admit(policy: Policy[K], key: K, weight: float, protected: Container[K]) -> int:
    """Insert the key if room can be made for it; returns the number of keys that left."""
    evicted = 0
    while not policy.fits(key):
        victim = policy.victim(protected, entering=key) if len(policy) else None
        if victim is None:
            return evicted
        policy.remove(victim)
        evicted += 1
    policy.insert(key, weight)
    return evicted
