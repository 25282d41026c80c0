"""Who is in which GPU slot, and when one may be filled again, compiled: `sim.slots.Slots`, but for cancels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 3  # that use slots: of compute, and of copies up and down
NOTHING = -1

SLOT = np.dtype(
    [
        ("source", np.int64),  # the load that filled it, or NOTHING if it was full at first
        ("lane", np.int64, LANES),  # that used it, in the order in which they first did, or NOTHING
        ("last", np.int64, LANES),  # op of each of them
    ],
    align=True,
)


class Buffers(NamedTuple):
    """`slot_of` [key] is NOTHING for who has none; `free` is a ring of those given up, longest ago first.

    `ends`: its first place and its length.
    """

    slots: NDArray[np.void]
    slot_of: NDArray[np.int64]
    free: NDArray[np.int64]
    ends: NDArray[np.int64]


def filled(n_slots: int, n_keys: int, keys: NDArray[np.int64]) -> Buffers:
    """Slots 0, 1, … hold these keys, the others nothing."""
    slot_of, vacant = np.full(n_keys, NOTHING, np.int64), n_slots - len(keys)
    slot_of[keys] = np.arange(len(keys))
    free = np.zeros(n_slots, np.int64)
    free[:vacant] = np.arange(len(keys), n_slots)
    slots = np.zeros(n_slots, SLOT)
    slots["source"] = slots["lane"] = NOTHING
    return Buffers(slots, slot_of, free, np.array([0, vacant], np.int64))


@njit(cache=True)
def take(buffers: Buffers, key: int) -> int:
    """Give a key the slot that has been free longest."""
    ends = buffers.ends
    slot = buffers.free[ends[0]]
    ends[0] = (ends[0] + 1) % len(buffers.free)
    ends[1] -= 1
    buffers.slot_of[key] = slot
    return int(slot)


@njit(cache=True)
def give_up(buffers: Buffers, key: int) -> None:
    """A key needs its slot no more."""
    ends = buffers.ends
    buffers.free[(ends[0] + ends[1]) % len(buffers.free)] = buffers.slot_of[key]
    buffers.slot_of[key] = NOTHING
    ends[1] += 1


@njit(cache=True)
def use(buffers: Buffers, slot: int, lane: int, op: int) -> None:
    """An op on a lane uses a slot."""
    row, place = buffers.slots[slot], 0
    while row.lane[place] != lane and row.lane[place] != NOTHING:
        place += 1
    row.lane[place], row.last[place] = lane, op
