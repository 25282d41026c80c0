"""LFU, LFU-DA and Belady, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.replay.kernels.heap import drop_first, drop_outdated, put
from sim.replay.kernels.types import Counted, Keys, Starts

NEVER = 2**31 - 1


@njit(cache=True)
def next_uses(keys: Keys, starts: Starts, n_keys: int) -> NDArray[np.int32]:
    """For each access the batch that uses its key next, or NEVER."""
    following = np.full(n_keys, NEVER, np.int32)
    result = np.empty(len(keys), np.int32)
    for batch in range(len(starts) - 2, -1, -1):
        for i in range(starts[batch], starts[batch + 1]):
            result[i] = following[keys[i]]
            following[keys[i]] = batch
    return result


@njit(cache=True)
def ranked(keys: Keys, starts: Starts, n_keys: int, capacity: int, uses: NDArray[np.int32], ages: bool) -> Counted:
    """Belady if next uses are given (one an access), else LFU, or LFU-DA where it `ages`.

    A heap holds one entry a use, and those that a later use has outdated are dropped when they are met.
    """
    room = 4 * n_keys + 64
    heap_rank, heap_key = np.empty(room, np.int64), np.empty(room, np.int32)
    entries = 0
    rank_of = np.full(n_keys, -1, np.int64)  # -1: not resident, or needed now
    resident, counts, age_at = np.zeros(n_keys, np.bool_), np.zeros(n_keys, np.int64), np.zeros(n_keys, np.int64)
    hits = evictions = used = age = 0
    by_future = len(uses) > 0
    stamp = np.int64(0)
    for batch in range(len(starts) - 1):
        first, last = starts[batch], starts[batch + 1]
        others = used
        for i in range(first, last):
            if resident[keys[i]]:
                rank_of[keys[i]] = -1
                others -= 1
        hits += used - others
        for i in range(first, last):
            key = keys[i]
            if not resident[key]:
                if used == capacity:
                    if others == 0:
                        continue
                    leaving = -1
                    while leaving < 0:
                        rank, candidate = heap_rank[0], heap_key[0]
                        entries = drop_first(heap_rank, heap_key, entries)
                        if rank_of[candidate] == rank:
                            leaving = candidate
                            age = rank >> 32
                    rank_of[leaving] = -1
                    resident[leaving] = False
                    if ages:
                        counts[leaving] = 0
                    others -= 1
                    used -= 1
                    evictions += 1
                resident[key] = True
                used += 1
            age_at[key] = age
        for i in range(first, last):
            key = keys[i]
            if resident[key]:
                counts[key] += 1
                stamp += 1
                order = NEVER - np.int64(uses[i]) if by_future else counts[key] + (age_at[key] if ages else 0)
                rank_of[key] = (order << 32) | stamp
                if entries == room:
                    entries = drop_outdated(heap_rank, heap_key, entries, rank_of)
                entries = put(heap_rank, heap_key, entries, rank_of[key], key)
    return hits, len(keys) - hits, evictions
