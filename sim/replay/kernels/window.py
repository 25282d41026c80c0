"""Window, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from sim.replay.kernels.heap import drop_first, drop_outdated, put
from sim.replay.kernels.types import Counted, Keys, Starts


@njit(cache=True)
def window(keys: Keys, starts: Starts, n_layers: int, n_experts: int, capacity: int, length: int) -> Counted:
    """A heap as `ranked` has it, and for each layer its last visits, by batch; `counted` says what these used."""
    n_keys = n_layers * n_experts
    room = 4 * n_keys + 64
    heap_rank, heap_key = np.empty(room, np.int64), np.empty(room, np.int32)
    entries = 0
    rank_of = np.full(n_keys, -1, np.int64)  # -1: not resident, or needed now
    resident, counts, stamps = np.zeros(n_keys, np.bool_), np.zeros(n_keys, np.int64), np.zeros(n_keys, np.int64)
    counted = np.zeros(len(keys), np.bool_)
    visits, visited = np.empty((n_layers, length), np.int64), np.zeros(n_layers, np.int64)
    hits = evictions = used = 0
    stamp = np.int64(0)
    for batch in range(len(starts) - 1):
        first, last = starts[batch], starts[batch + 1]
        others = used
        begun = False
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
                    rank_of[leaving] = -1
                    resident[leaving] = False
                    others -= 1
                    used -= 1
                    evictions += 1
                resident[key] = True
                used += 1
            if not begun:  # a visit, which may push another out of the window
                begun = True
                layer = key // n_experts
                slot = visited[layer] % length
                if visited[layer] >= length:
                    past = visits[layer, slot]
                    for j in range(starts[past], starts[past + 1]):
                        if counted[j]:
                            other = keys[j]
                            counts[other] -= 1
                            if rank_of[other] >= 0:
                                rank_of[other] = (counts[other] << 32) | stamps[other]
                                if entries == room:
                                    entries = drop_outdated(heap_rank, heap_key, entries, rank_of)
                                entries = put(heap_rank, heap_key, entries, rank_of[other], other)
                visits[layer, slot] = batch
                visited[layer] += 1
            counted[i] = True
            counts[key] += 1
            stamp += 1
            stamps[key] = stamp
        for i in range(first, last):
            if counted[i]:
                key = keys[i]
                rank_of[key] = (counts[key] << 32) | stamps[key]
                if entries == room:
                    entries = drop_outdated(heap_rank, heap_key, entries, rank_of)
                entries = put(heap_rank, heap_key, entries, rank_of[key], key)
    return hits, len(keys) - hits, evictions
