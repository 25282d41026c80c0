"""FIFO and LRU, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from sim.replay.kernels.rings import splice_in, splice_out
from sim.replay.kernels.types import Counted, Keys, Starts


@njit(cache=True)
def queue(keys: Keys, starts: Starts, n_keys: int, capacity: int, moves: bool) -> Counted:
    """FIFO, or where a use `moves` a key to the end, LRU."""
    older, newer = np.empty(n_keys + 1, np.int32), np.empty(n_keys + 1, np.int32)
    end = n_keys  # the list is a ring through this place: newer[end] is the oldest
    older[end] = newer[end] = end
    resident, needed = np.zeros(n_keys, np.bool_), np.full(n_keys, -1, np.int64)
    hits = evictions = used = 0
    for batch in range(len(starts) - 1):
        first, last = starts[batch], starts[batch + 1]
        others = used
        for i in range(first, last):
            key = keys[i]
            needed[key] = batch
            if resident[key]:
                others -= 1
                if moves:
                    splice_out(older, newer, key)
        hits += used - others
        for i in range(first, last):
            key = keys[i]
            if resident[key]:
                if not moves:
                    continue
            else:
                if used == capacity:
                    if others == 0:
                        continue
                    leaving = newer[end]
                    while needed[leaving] == batch:
                        leaving = newer[leaving]
                    splice_out(older, newer, leaving)
                    resident[leaving] = False
                    others -= 1
                    used -= 1
                    evictions += 1
                resident[key] = True
                used += 1
            splice_in(older, newer, key, end)
    return hits, len(keys) - hits, evictions
