"""Slots: the expert-sized GPU buffers, who fills them, and when one may be filled again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sim.errors import ScheduleError

Key = tuple[int, int]  # (block, expert)


class Slots:
    """Which expert's weights are, or are about to be, in which slot.

    A slot given up waits in a queue, oldest first, and its next load depends on the last op of every lane that
    used it: weights are never overwritten while they are read.
    """

    def __init__(self, n_slots: int, filled: Iterable[Key] = ()) -> None:
        self._slot: dict[Key, int] = {}
        self._filled_by: dict[Key, tuple[int]] = {}  # the load that is to be waited for
        self._users: list[dict[int, int]] = [{} for _ in range(n_slots)]  # lane -> last op that used the slot
        for key in filled:
            if key in self._slot or len(self._slot) == n_slots:
                raise ScheduleError(f"{len(self._slot) + 1} experts cannot start in {n_slots} slots: {key}")
            self._slot[key] = len(self._slot)
        self._free = deque(range(len(self._slot), n_slots))

    def __contains__(self, key: Key) -> bool:
        return key in self._slot

    def __len__(self) -> int:
        return len(self._slot)

    @property
    def free(self) -> int:
        """Number of slots that hold nothing worth keeping."""
        return len(self._free)

    def take(self, key: Key) -> tuple[int, list[int]]:
        """Give `key` the slot that has been free longest; returns it and the ops that must end before it is filled."""
        if key in self._slot:
            raise ScheduleError(f"expert {key} is in a slot already")
        if not self._free:
            raise ScheduleError(f"no slot is free for expert {key}: drop or unload another first")
        slot = self._slot[key] = self._free.popleft()
        return slot, list(self._users[slot].values())  # which stay: the coming load might be cancelled

    def fill(self, key: Key, op: int, lane: int) -> None:
        """Op number `op` on `lane` brings the weights of `key`."""
        self._filled_by[key] = (op,)
        self._users[self._slot[key]][lane] = op

    def use(self, key: Key, op: int, lane: int) -> int:
        """Op number `op` on `lane` reads the weights of `key`; returns the slot. Ask `source` first."""
        slot = self._slot[key]
        self._users[slot][lane] = op
        return slot

    def source(self, key: Key) -> tuple[int, ...]:
        """The load that brings the weights of `key`; nothing if they were there from the start."""
        if key not in self._slot:
            raise ScheduleError(f"expert {key} is in no slot: load it first")
        return self._filled_by.get(key, ())

    def give_up(self, key: Key) -> None:
        """Forget `key`; its slot is free once its users have ended."""
        if key not in self._slot:
            raise ScheduleError(f"expert {key} is in no slot and cannot be dropped")
        self._free.append(self._slot.pop(key))
        self._filled_by.pop(key, None)
