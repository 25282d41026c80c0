"""S3-FIFO, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from sim.policies.s3fifo import MOST_USES, PROMOTED
from sim.replay.kernels.rings import append, empty_rings, unlink
from sim.replay.kernels.types import Counted, Counts, Keys, Rings, Starts

SMALL, MAIN, GHOST = 0, 1, 2


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
            if where[key] == SMALL or where[key] == MAIN:
                hits += 1
                uses[key] += 1
                continue
            if sizes[SMALL] + sizes[MAIN] == capacity:
                leaving = s3fifo_victim(older, newer, where, sizes, 0, uses, needed, batch, capacity - small_capacity)
                if leaving < 0:
                    continue
                filling = False
                evictions += 1
                was_small = where[leaving] == SMALL
                unlink(older, newer, where, sizes, leaving)
                if was_small:
                    append(older, newer, where, sizes, leaving, GHOST)
            known = where[key] == GHOST
            if known:
                unlink(older, newer, where, sizes, key)
            to_main = known or (filling and sizes[SMALL] >= small_capacity)
            uses[key] = 0
            append(older, newer, where, sizes, key, MAIN if to_main else SMALL)
            while sizes[GHOST] > ghost_capacity:
                unlink(older, newer, where, sizes, newer[n_keys + GHOST])
    return hits, len(keys) - hits, evictions


@njit(cache=True)
def s3fifo_victim(
    older: Keys, newer: Keys, where: Rings, sizes: Counts, first_ring: int, uses: Counts, needed: Counts, batch: int,
    main_capacity: int,
) -> int:  # fmt: skip
    """Whoever leaves next, or -1 if all are needed; on the way, trials are passed and rounds begun.

    The small queue is ring number `first_ring`, the main one the next.
    """
    small_ring, main_ring = first_ring + SMALL, first_ring + MAIN
    small_end, main_end = len(where) + small_ring, len(where) + main_ring
    small, main = newer[small_end], newer[main_end]  # the first in each that has not been refused
    while small != small_end or main != main_end:
        from_main = main != main_end and (sizes[main_ring] > main_capacity or small == small_end)
        if from_main:
            while uses[main]:
                uses[main] = min(uses[main], MOST_USES) - 1
                following = newer[main]
                unlink(older, newer, where, sizes, main)
                append(older, newer, where, sizes, main, main_ring)
                main = main if following == main_end else following
            if needed[main] != batch:
                return int(main)
            main = newer[main]
            continue
        while small != small_end and uses[small] >= PROMOTED:
            following = newer[small]
            uses[small] = 0
            unlink(older, newer, where, sizes, small)
            append(older, newer, where, sizes, small, main_ring)
            if main == main_end:
                main = small
            small = following
        if small != small_end:
            if needed[small] != batch:
                return int(small)
            small = newer[small]
    return -1
