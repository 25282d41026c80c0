"""Queues as rings in one pair of arrays, so that a key moves between them, and out of their middle, in a few steps."""

from __future__ import annotations

import numpy as np
from numba import njit

from sim.replay.kernels.types import Counts, Keys, Rings

NOWHERE = -1


@njit(cache=True)
def empty_rings(n_keys: int, n_rings: int) -> tuple[Keys, Keys, Rings, Counts]:
    """Older and newer neighbours, each key's ring, lengths; place n_keys + i closes ring i: its newer is the oldest."""
    older, newer = np.empty(n_keys + n_rings, np.int32), np.empty(n_keys + n_rings, np.int32)
    for ring in range(n_rings):
        older[n_keys + ring] = newer[n_keys + ring] = n_keys + ring
    return older, newer, np.full(n_keys, NOWHERE, np.int8), np.zeros(n_rings, np.int64)


@njit(cache=True)
def splice_out(older: Keys, newer: Keys, key: int) -> None:
    """Make a key's neighbours each other's."""
    older[newer[key]], newer[older[key]] = older[key], newer[key]


@njit(cache=True)
def splice_in(older: Keys, newer: Keys, key: int, end: int) -> None:
    """Make a key the newest of the ring that `end` closes."""
    older[key], newer[key] = older[end], end
    newer[older[key]] = key
    older[end] = key


@njit(cache=True)
def unlink(older: Keys, newer: Keys, where: Rings, sizes: Counts, key: int) -> None:
    """Take a key out of its ring."""
    splice_out(older, newer, key)
    sizes[where[key]] -= 1
    where[key] = NOWHERE


@njit(cache=True)
def append(older: Keys, newer: Keys, where: Rings, sizes: Counts, key: int, ring: int) -> None:
    """Put a key that is in no ring at the newest end of one."""
    splice_in(older, newer, key, len(where) + ring)
    sizes[ring] += 1
    where[key] = ring
