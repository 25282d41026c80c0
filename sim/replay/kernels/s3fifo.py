"""S3-FIFO, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from sim.policies.s3fifo import MOST_USES, PROMOTED
from sim.replay.kernels.rings import append, empty_rings, unlink
from sim.replay.kernels.types import Counted, Counts, Keys, Rings, Starts

_SMALL, _MAIN, _GHOST = 0, 1, 2


@njit(cache=True)
def s3fifo(keys: Keys, starts: Starts, n_keys: int, capacity: int, small_capacity: int, ghost_capacity: int) -> Counted:
    """Three rings: the small queue, the main one, and what failed its trial."""
    older, newer, where, sizes = empty_rings(n_keys, 3)
    uses = np.zeros(n_keys, np.int64)
    needed = np.full(n_keys, -1, np.int64)
    hits = evictions = 0
    filling = True
    for batch in range(len(starts) - 1):
        for i in range(starts[batch], starts[batch + 1]):
            needed[keys[i]] = batch
        for i in range(starts[batch], starts[batch + 1]):
            key = keys[i]
            if where[key] == _SMALL or where[key] == _MAIN:
                hits += 1
                uses[key] += 1
                continue
            if sizes[_SMALL] + sizes[_MAIN] == capacity:
                leaving = _victim(older, newer, where, sizes, uses, needed, batch, capacity - small_capacity)
                if leaving < 0:
                    continue
                filling = False
                evictions += 1
                was_small = where[leaving] == _SMALL
                unlink(older, newer, where, sizes, leaving)
                if was_small:
                    append(older, newer, where, sizes, leaving, _GHOST)
            known = where[key] == _GHOST
            if known:
                unlink(older, newer, where, sizes, key)
            to_main = known or (filling and sizes[_SMALL] >= small_capacity)
            uses[key] = 0
            append(older, newer, where, sizes, key, _MAIN if to_main else _SMALL)
            while sizes[_GHOST] > ghost_capacity:
                unlink(older, newer, where, sizes, newer[n_keys + _GHOST])
    return hits, len(keys) - hits, evictions


@njit(cache=True)
def _victim(
    older: Keys, newer: Keys, where: Rings, sizes: Counts, uses: Counts, needed: Counts, batch: int,
    main_capacity: int,
) -> int:  # fmt: skip
    """Whoever leaves next, or -1 if all are needed; on the way, trials are passed and rounds begun."""
    n_keys = len(where)
    small_end, main_end = n_keys + _SMALL, n_keys + _MAIN
    small, main = newer[small_end], newer[main_end]  # the first in each that has not been refused
    while small != small_end or main != main_end:
        from_main = main != main_end and (sizes[_MAIN] > main_capacity or small == small_end)
        if from_main:
            while uses[main]:
                uses[main] = min(uses[main], MOST_USES) - 1
                following = newer[main]
                unlink(older, newer, where, sizes, main)
                append(older, newer, where, sizes, main, _MAIN)
                main = main if following == main_end else following
            if needed[main] != batch:
                return int(main)
            main = newer[main]
            continue
        while small != small_end and uses[small] >= PROMOTED:
            following = newer[small]
            uses[small] = 0
            unlink(older, newer, where, sizes, small)
            append(older, newer, where, sizes, small, _MAIN)
            if main == main_end:
                main = small
            small = following
        if small != small_end:
            if needed[small] != batch:
                return int(small)
            small = newer[small]
    return -1
