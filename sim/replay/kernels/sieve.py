"""SIEVE, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from sim.replay.kernels.rings import splice_in, splice_out
from sim.replay.kernels.types import Counted, Keys, Starts


@njit(cache=True)
def sieve(keys: Keys, starts: Starts, n_keys: int, capacity: int) -> Counted:
    """A ring of residents through place n_keys, where the hand goes on from the newest to the oldest."""
    older, newer = np.empty(n_keys + 1, np.int32), np.empty(n_keys + 1, np.int32)
    end = n_keys
    older[end] = newer[end] = hand = end
    resident, marked, needed = np.zeros(n_keys, np.bool_), np.zeros(n_keys, np.bool_), np.full(n_keys, -1, np.int64)
    hits = evictions = used = 0
    for batch in range(len(starts) - 1):
        others = used
        for i in range(starts[batch], starts[batch + 1]):
            needed[keys[i]] = batch
            others -= resident[keys[i]]
        for i in range(starts[batch], starts[batch + 1]):
            key = keys[i]
            if resident[key]:
                hits += 1
                marked[key] = True
                continue
            if used == capacity:
                if others == 0:  # the hand goes all the way round, in vain
                    marked[:] = False
                    continue
                if hand == end:
                    hand = newer[end]
                while marked[hand] or needed[hand] == batch:
                    marked[hand] = False
                    hand = newer[hand]
                    if hand == end:
                        hand = newer[end]
                leaving, hand = hand, newer[hand]
                splice_out(older, newer, leaving)
                resident[leaving] = False
                others -= 1
                used -= 1
                evictions += 1
            resident[key] = True
            used += 1
            splice_in(older, newer, key, end)
    return hits, len(keys) - hits, evictions
