"""ARC, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from sim.replay.kernels.rings import append, empty_rings, unlink
from sim.replay.kernels.types import Counted, Keys, Starts

_ONCE, _AGAIN, _ONCE_EVICTED, _AGAIN_EVICTED = 0, 1, 2, 3


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
            if was in (_ONCE, _AGAIN):
                hits += 1
                unlink(older, newer, where, sizes, key)
                append(older, newer, where, sizes, key, _AGAIN)
                continue
            adapted = target
            if was == _ONCE_EVICTED:
                adapted = min(float(capacity), target + max(1.0, sizes[_AGAIN_EVICTED] / sizes[_ONCE_EVICTED]))
            elif was == _AGAIN_EVICTED:
                adapted = max(0.0, target - max(1.0, sizes[_ONCE_EVICTED] / sizes[_AGAIN_EVICTED]))
            if sizes[_ONCE] + sizes[_AGAIN] == capacity:
                once = sizes[_ONCE] > adapted or (sizes[_ONCE] == adapted and was == _AGAIN_EVICTED)
                leaving = -1
                for ring in (_ONCE, _AGAIN) if once else (_AGAIN, _ONCE):
                    candidate = newer[n_keys + ring]
                    while candidate < n_keys and needed[candidate] == batch:
                        candidate = newer[candidate]
                    if candidate < n_keys:
                        leaving = candidate
                        break
                if leaving < 0:
                    continue
                to = _ONCE_EVICTED if where[leaving] == _ONCE else _AGAIN_EVICTED
                unlink(older, newer, where, sizes, leaving)
                append(older, newer, where, sizes, leaving, to)
                evictions += 1
            target = adapted
            if was >= 0:
                unlink(older, newer, where, sizes, key)
            append(older, newer, where, sizes, key, _AGAIN if was >= 0 else _ONCE)
            while sizes[_ONCE_EVICTED] > capacity - sizes[_ONCE]:
                unlink(older, newer, where, sizes, newer[n_keys + _ONCE_EVICTED])
            while sizes[_AGAIN_EVICTED] > 2 * capacity - sizes[_ONCE] - sizes[_AGAIN] - sizes[_ONCE_EVICTED]:
                unlink(older, newer, where, sizes, newer[n_keys + _AGAIN_EVICTED])
    return hits, len(keys) - hits, evictions
