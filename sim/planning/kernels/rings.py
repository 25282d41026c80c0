"""Queues as rings through the rows of keys: a key moves between them, and out of their middle, in a few steps."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.planning.kernels.book import NOBODY


@njit(cache=True)
def append(keys: NDArray[np.void], key: int, ring: int) -> None:
    """Put a key that is in no ring at the newest end of one."""
    older = keys[ring].older
    keys[key].older, keys[key].newer, keys[key].ring = older, ring, ring
    keys[older].newer = key
    keys[ring].older = key
    keys[ring].count += 1


@njit(cache=True)
def unlink(keys: NDArray[np.void], key: int) -> None:
    """Take a key out of its ring."""
    row = keys[key]
    keys[row.older].newer, keys[row.newer].older = row.newer, row.older
    keys[row.ring].count -= 1
    row.ring = NOBODY


@njit(cache=True)
def oldest(keys: NDArray[np.void], ring: int, turn: int) -> int:
    """The first of a ring that need not stay in this turn, or NOBODY."""
    key = keys[ring].newer
    while key != ring:
        if keys[key].kept != turn:
            return int(key)
        key = keys[key].newer
    return NOBODY
