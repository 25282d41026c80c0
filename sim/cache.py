"""Caches by name, and replaying accesses through them: hits, misses and evictions without a clock."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.policies import FIFO, LFU, LRU, NEVER, Belady, FutureIndex
from sim.policy import K, Policy

__all__ = [
    "FIFO",
    "LFU",
    "LRU",
    "NEVER",
    "POLICIES",
    "Belady",
    "FutureIndex",
    "Policy",
    "ReplayResult",
    "make_policy",
    "replay",
    "replay_layers",
]

POLICIES = ("lru", "lfu", "fifo", "belady")


def make_policy(
    name: str,
    capacity: int,
    size_of: Callable[[K], int] | None = None,
    *,
    next_use: Callable[[K, int], int] | None = None,
) -> Policy[K]:
    """Return an empty cache; `belady` needs `next_use`. Raises InputError for an unknown name."""
    match name:
        case "lru":
            return LRU(capacity, size_of)
        case "lfu":
            return LFU(capacity, size_of)
        case "fifo":
            return FIFO(capacity, size_of)
        case "belady":
            if next_use is None:
                raise ValueError("belady needs next_use: it evicts by the future")
            return Belady(capacity, next_use, size_of)
    raise InputError("unknown eviction policy", field="policy", value=name, remedy=f"use {', '.join(POLICIES)}")


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


def replay(policy: Policy[K], batches: Iterable[Sequence[K]]) -> ReplayResult:
    """Enter batch after batch (the experts that one layer needs at once) and count.

    A batch never evicts its own members. Keys that it repeats count once, at their last place: entered token
    by token, a prompt leaves its last token's experts the most recent. A member that finds no room beside the
    others streams through: a miss, not kept. The policy keeps what it held before; its `now` moves on by one
    a batch.
    """
    hits = misses = evictions = 0
    contains, touch = policy.contains, policy.touch
    for batch in batches:
        members = dict.fromkeys(reversed(batch))
        for key in reversed(members):
            if contains(key):
                touch(key)
                hits += 1
            else:
                misses += 1
                evictions += _admit(policy, key, members)
        policy.now += 1
    return ReplayResult(hits, misses, evictions)


def _admit(policy: Policy[K], key: K, protected: Container[K]) -> int:
    """Insert the key if room can be made for it; returns the number of keys that left."""
    evicted = 0
    while not policy.fits(key):
        victim = policy.victim(protected) if len(policy) else None
        if victim is None:
            return evicted
        policy.remove(victim)
        evicted += 1
    policy.insert(key)
    return evicted


def replay_layers(
    ids: NDArray[np.unsignedinteger[Any]], policy_name: str, capacity_per_layer: int
) -> tuple[NDArray[np.float64], float]:
    """Return the hit rate of each layer's own cache, and their mean, for routed ids [token, layer, k].

    Caches start empty and live through the whole trace; a token's experts of one layer are a batch. The
    highest value of the dtype marks a missing id and is skipped; a layer of nothing else has NaN, and no part
    in the mean.
    """
    missing = np.iinfo(ids.dtype).max
    rates = np.full(ids.shape[1], np.nan)
    for layer in range(ids.shape[1]):
        batches = ids[:, layer].tolist()
        if (ids[:, layer] == missing).any():
            batches = [[expert for expert in batch if expert != missing] for batch in batches]
        future = FutureIndex[int](batches) if policy_name == "belady" else None
        policy = make_policy(policy_name, capacity_per_layer, next_use=future.next_use if future else None)
        rates[layer] = replay(policy, batches).hit_rate
    measured = rates[~np.isnan(rates)]
    return rates, float(measured.mean()) if len(measured) else float("nan")
