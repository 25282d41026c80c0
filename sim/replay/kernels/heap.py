"""A heap of (rank, key) in two arrays, lowest rank first."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.replay.kernels.types import Keys


@njit(cache=True)
def put(heap_rank: NDArray[np.int64], heap_key: Keys, entries: int, rank: int, key: int) -> int:
    """Add an entry to a heap of so many; returns how many there are."""
    place = entries
    while place > 0:
        parent = (place - 1) >> 1
        if heap_rank[parent] <= rank:
            break
        heap_rank[place], heap_key[place] = heap_rank[parent], heap_key[parent]
        place = parent
    heap_rank[place], heap_key[place] = rank, key
    return entries + 1


@njit(cache=True)
def drop_first(heap_rank: NDArray[np.int64], heap_key: Keys, entries: int) -> int:
    """Drop the entry of the lowest rank; returns how many are left."""
    entries -= 1
    rank, key = heap_rank[entries], heap_key[entries]
    place = 0
    while 2 * place + 1 < entries:
        child = 2 * place + 1
        if child + 1 < entries and heap_rank[child + 1] < heap_rank[child]:
            child += 1
        if rank <= heap_rank[child]:
            break
        heap_rank[place], heap_key[place] = heap_rank[child], heap_key[child]
        place = child
    heap_rank[place], heap_key[place] = rank, key
    return entries


@njit(cache=True)
def drop_outdated(heap_rank: NDArray[np.int64], heap_key: Keys, entries: int, rank_of: NDArray[np.int64]) -> int:
    """Keep only entries of each key's present rank; returns how many are left."""
    kept = 0
    for place in range(entries):
        rank, key = heap_rank[place], heap_key[place]
        if rank_of[key] == rank:
            kept = put(heap_rank, heap_key, kept, rank, key)
    return kept
