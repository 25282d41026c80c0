"""The rules that every consumer of a Schedule relies on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.errors import ScheduleError
from sim.precision import PRECISIONS

if TYPE_CHECKING:
    from sim.schedule import Schedule


def check_schedule(schedule: Schedule) -> None:
    """Raise ScheduleError naming the first op that breaks a rule; ops before the first step have step -1."""
    from sim.schedule import HOST, Kind, Reason  # here, for that module imports this one

    ops, n = schedule.ops, len(schedule.ops)
    if not schedule.lanes or schedule.lanes[0].name != HOST:
        raise ScheduleError(f"lane 0 must be {HOST!r}")
    if len(ops.deps) != n:
        raise ScheduleError(f"{n} ops but dependencies for {len(ops.deps)}")
    owner = np.repeat(np.arange(n), np.diff(ops.deps.offsets))
    _refuse(owner[(ops.deps.values < 0) | (ops.deps.values >= owner)], "depends on itself or a later op")
    for faulty, complaint in (
        (ops.kind >= len(Kind), "is of a kind that does not exist"),
        (ops.reason >= len(Reason), "has a reason that does not exist"),
        (ops.precision >= len(PRECISIONS), "is in a precision that does not exist"),
        (ops.lane >= len(schedule.lanes), "is on a lane that does not exist"),
        (np.isin(ops.kind, (Kind.WAIT, Kind.CANCEL)) & (ops.lane != 0), "waits or cancels away from the host lane"),
        (ops.slot >= schedule.n_slots, "uses a slot that does not exist"),
        ((ops.step < -1) | (ops.step >= len(schedule.steps)), "is in a step that does not exist"),
        ((ops.tokens < 0) | (ops.size_bytes < 0), "has a negative size"),
    ):
        _refuse(np.flatnonzero(faulty), complaint)


def _refuse(offenders: NDArray[np.intp], complaint: str) -> None:
    if len(offenders):
        raise ScheduleError(f"op {int(offenders[0])} {complaint}")
