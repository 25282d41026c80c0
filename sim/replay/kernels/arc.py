"""ARC, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from sim.replay.kernels.rings import append, empty_rings, unlink
from sim.replay.kernels.types import Counted, Keys, Starts

ONCE, AGAIN, ONCE_EVICTED, AGAIN_EVICTED = 0, 1, 2, 3


@njit(cache=True)
def arc(keys: Keys, starts: Starts, n_keys: int, capacity: int) -> Counted:
    """Four rings by recency: of residents used once and again, and of evicted keys of either kind."""
    older, newer, where, sizes = empty_rings(n_keys, 4)
    needed = np.full(n_keys, -1, np.int64)
    target = 0.0
    hits = evictions = 0
    for batch in range(len(starts) - 1):
        for i in range(starts[batch], starts[batch + 1]):
            needed[keys[i]] = batch
        for i in range(starts[batch], starts[batch + 1]):
            key = keys[i]
            was = where[key]
            if was in (ONCE, AGAIN):
                hits += 1
                unlink(older, newer, where, sizes, key)
                append(older, newer, where, sizes, key, AGAIN)
                continue
            adapted = target
            if was == ONCE_EVICTED:
                adapted = min(float(capacity), target + max(1.0, sizes[AGAIN_EVICTED] / sizes[ONCE_EVICTED]))
            elif was == AGAIN_EVICTED:
                adapted = max(0.0, target - max(1.0, sizes[ONCE_EVICTED] / sizes[AGAIN_EVICTED]))
            if sizes[ONCE] + sizes[AGAIN] == capacity:
                once = sizes[ONCE] > adapted or (sizes[ONCE] == adapted and was == AGAIN_EVICTED)
                leaving = -1
                for ring in (ONCE, AGAIN) if once else (AGAIN, ONCE):
                    candidate = newer[n_keys + ring]
                    while candidate < n_keys and needed[candidate] == batch:
                        candidate = newer[candidate]
                    if candidate < n_keys:
                        leaving = candidate
                        break
                if leaving < 0:
                    continue
                to = ONCE_EVICTED if where[leaving] == ONCE else AGAIN_EVICTED
                unlink(older, newer, where, sizes, leaving)
                append(older, newer, where, sizes, leaving, to)
                evictions += 1
            target = adapted
            if was >= 0:
                unlink(older, newer, where, sizes, key)
            append(older, newer, where, sizes, key, AGAIN if was >= 0 else ONCE)
            while sizes[ONCE_EVICTED] > capacity - sizes[ONCE]:
                unlink(older, newer, where, sizes, newer[n_keys + ONCE_EVICTED])
            while sizes[AGAIN_EVICTED] > 2 * capacity - sizes[ONCE] - sizes[AGAIN] - sizes[ONCE_EVICTED]:
                unlink(older, newer, where, sizes, newer[n_keys + AGAIN_EVICTED])
    return hits, len(keys) - hits, evictions
