"""Slots: the expert-sized GPU buffers, who fills them, and when one may be filled again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from sim.errors import ScheduleError

Key = tuple[int, int]  # (block, expert)
Users = dict[int, tuple[int, ...]]  # lane -> the ops that must end before the slot is filled again
Left = tuple[Key, tuple[int, ...]]  # whose weights a slot that was given up holds still, and the load they come by


class _Fill(NamedTuple):
    """The last load into a slot, and what the slot was before."""

    op: int
    lane: int
    key: Key
    users: Users
    left: Left | None


class Slots:
    """Which expert's weights are, or are about to be, in which slot.

    A slot given up waits in a queue, oldest first, and its next load depends on the last op of every lane that
    used it: weights are never overwritten while they are read.
    """

    def __init__(self, n_slots: int, filled: Iterable[Key] = ()) -> None:
        self._slot: dict[Key, int] = {}
        self._filled_by: dict[Key, tuple[int, ...]] = {}  # the load that is to be waited for
        self._users: list[Users] = [{} for _ in range(n_slots)]
        self._left: dict[int, Left] = {}  # of free slots
        self._fills: dict[int, _Fill] = {}  # by slot
        self._fill_slot: dict[int, int] = {}  # load -> slot, for the last load into each
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
        return slot, [op for ops in self._users[slot].values() for op in ops]

    def fill(self, key: Key, op: int, lane: int) -> None:
        """Op number `op` on `lane` brings the weights of `key`, to which `take` has given a slot."""
        slot = self._slot[key]
        if (last := self._fills.get(slot)) is not None:
            del self._fill_slot[last.op]
        self._fills[slot] = _Fill(op, lane, key, self._users[slot], self._left.pop(slot, None))
        self._fill_slot[op] = slot
        self._filled_by[key] = (op,)
        self._users[slot] = {**self._users[slot], lane: (op,)}  # all stay: the load might be cancelled

    def use(self, key: Key, op: int, lane: int) -> int:
        """Op number `op` on `lane` reads the weights of `key`; returns the slot. Ask `source` first."""
        slot = self._slot[key]
        self._users[slot][lane] = (op,)
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
        slot = self._slot.pop(key)
        self._free.append(slot)
        self._left[slot] = key, self._filled_by.pop(key, ())

    def reclaim(self, key: Key) -> bool:
        """Give `key` a free slot that holds its weights still; false if there is none."""
        slot = next((slot for slot, (held, _) in self._left.items() if held == key), None)
        if slot is None or key in self._slot:
            return False
        self._free.remove(slot)
        self._slot[key] = slot
        _, source = self._left.pop(slot)
        if source:
            self._filled_by[key] = source
        return True

    def doubt(self, op: int) -> None:
        """Op number `op` may be cancelled: who fills its slot next, if it has one, waits for those before it too."""
        if (slot := self._fill_slot.get(op)) is not None:
            fill, users = self._fills[slot], self._users[slot]
            before = fill.users.get(fill.lane, ())
            users[fill.lane] = (*before, *(later for later in users[fill.lane] if later not in before))

    def confirm(self, op: int) -> None:
        """Op number `op` has begun after all: whoever waits for it need not wait for those before it."""
        if (slot := self._fill_slot.get(op)) is not None:
            fill, users = self._fills[slot], self._users[slot]
            users[fill.lane] = tuple(user for user in users[fill.lane] if user >= op)

    def undo(self, op: int) -> None:
        """Load number `op` was withdrawn: its slot is free again, first in the queue, and holds what it held.

        Raises ScheduleError if that was not the last load into its slot, or somebody reads what it was to bring.
        """
        slot = self._fill_slot.get(op)
        if slot is None or self._slot.get(self._fills[slot].key) != slot:
            raise ScheduleError(f"op {op} is not the load of an expert that has its slot still")
        fill = self._fills[slot]
        readers = [
            last[-1] for lane, last in self._users[slot].items() if last != fill.users.get(lane) and op not in last
        ]
        if readers:
            raise ScheduleError(f"op {readers[0]} reads the weights that op {op} was withdrawn from bringing")
        del self._slot[fill.key], self._filled_by[fill.key], self._fills[slot], self._fill_slot[op]
        self._users[slot] = fill.users
        self._free.appendleft(slot)
        if fill.left is not None:
            self._left[slot] = fill.left
