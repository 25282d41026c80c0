"""Who is in which GPU slot, and when one may be filled again, compiled: what `sim.slots.Slots` keeps, but for cancels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 3  # that use slots: of compute, and of copies up and down
_FIRST, _LENGTH = 0, 1


class Buffers(NamedTuple):
    """`slot_of` [key] is -1 for who has none; `source` [slot] is the load that filled it, -1 if it was full at first.

    `free` is a ring of those given up, longest ago first, `ends` its first place and length. `last` [slot, user] is
    the last op of each lane that used a slot, lanes in the order in which they first did: `user` [slot, LANES].
    """

    slot_of: NDArray[np.int32]
    source: NDArray[np.int64]
    free: NDArray[np.int32]
    ends: NDArray[np.int64]
    last: NDArray[np.int64]
    user: NDArray[np.int8]


def filled(n_slots: int, n_keys: int, keys: NDArray[np.int32]) -> Buffers:
    """Slots 0, 1, … hold these keys, the others nothing."""
    slot_of = np.full(n_keys, -1, np.int32)
    slot_of[keys] = np.arange(len(keys))
    free = np.zeros(n_slots, np.int32)
    vacant = n_slots - len(keys)
    free[:vacant] = np.arange(len(keys), n_slots)
    return Buffers(
        slot_of, np.full(n_slots, -1, np.int64), free, np.array([0, vacant], np.int64),
        np.zeros((n_slots, LANES), np.int64), np.full((n_slots, LANES), -1, np.int8),
    )  # fmt: skip


@njit(cache=True)
def take(buffers: Buffers, key: int) -> int:
    """Give a key the slot that has been free longest."""
    first = buffers.ends[_FIRST]
    slot = buffers.free[first]
    buffers.ends[_FIRST] = (first + 1) % len(buffers.free)
    buffers.ends[_LENGTH] -= 1
    buffers.slot_of[key] = slot
    return int(slot)


@njit(cache=True)
def give_up(buffers: Buffers, key: int) -> None:
    """A key needs its slot no more."""
    slot = buffers.slot_of[key]
    buffers.slot_of[key] = -1
    buffers.free[(buffers.ends[_FIRST] + buffers.ends[_LENGTH]) % len(buffers.free)] = slot
    buffers.ends[_LENGTH] += 1


@njit(cache=True)
def use(buffers: Buffers, slot: int, lane: int, op: int) -> None:
    """An op on a lane uses a slot."""
    place = 0
    while buffers.user[slot, place] != lane and buffers.user[slot, place] >= 0:
        place += 1
    buffers.user[slot, place], buffers.last[slot, place] = lane, op
