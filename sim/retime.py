"""Re-timing: the times of a Schedule under any costs, by the compiled engine or by the reference."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sim.compiler import without_compiler
from sim.cost import Costs
from sim.engine import simulate
from sim.schedule import Kind, Schedule
from sim.timeline import Timeline, Times

if TYPE_CHECKING:
    from sim.retiming.fifo import Codes, Numbers

EngineName = Literal["fast", "simpy"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
_ROUNDING = 1e-12  # of a sum of three demands or more, which depends on their order


def retime(schedule: Schedule, costs: Costs, engine: EngineName = "fast") -> Timeline:
    """Give every op of `schedule` its times under `costs`; both engines keep the same rules (docs/semantics.md).

    `fast` is compiled by Numba, and where that is missing is the reference (see `slow_because`). ScheduleError if an
    op can never run.
    """
    return simulate(schedule, costs) if engine == "simpy" else Timeline(schedule, Retimer(schedule).times(costs))


def slow_because() -> str | None:
    """A line for the user if `fast` is not, else None."""
    return without_compiler("schedules are timed")


class Retimer:
    """Times one schedule under costs after costs, with all that does not depend on them prepared once.

    Not to be shared by threads. Where no op can draw on more of a shared capacity than there is, none has a priority
    and none is cancelled, one pass in program order does; else the events of all lanes are gone through.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        ops = schedule.ops
        owner = np.repeat(np.arange(len(ops)), np.diff(ops.deps.offsets))
        usual = ((ops.deps.values >= 0) & (ops.deps.values < owner)).all() and (ops.lane < len(schedule.lanes)).all()
        self._compiled = bool(usual) and slow_because() is None  # what else is wrong, the reference finds out
        by_priority = [i for i, lane in enumerate(schedule.lanes) if lane.discipline == "priority"]
        self._in_order = not (np.isin(ops.lane, by_priority).any() or (ops.kind == Kind.CANCEL).any())

    def times(self, costs: Costs) -> Times:
        """The times of every op; raises ScheduleError if one can never run, ValueError for costs of other ops."""
        if len(costs.duration_s) != len(self._schedule):
            raise ValueError(f"costs of {len(costs.duration_s)} ops for a schedule of {len(self._schedule)}")
        if not self._compiled:
            return simulate(self._schedule, costs).times
        return self._in_one_pass(costs) if self.quick(costs) else self._by_events(costs, self._scarce(costs))

    def quick(self, costs: Costs) -> bool:
        """Whether one pass over the ops gives their times: some four times as fast as event by event."""
        return self._compiled and self._in_order and not len(self._scarce(costs))

    def step_ends(self, costs: Costs) -> NDArray[np.float64]:
        """End of each step, as `Timeline.step_end_s`."""
        return self._schedule.facts.step_ends.of(self.times(costs).end_s)

    def _scarce(self, costs: Costs) -> NDArray[np.intp]:
        """The capacities of which the lanes together may demand more than there is."""
        greatest = np.zeros((len(self._schedule.lanes), len(costs.capacities)))
        for lane, mine in enumerate(self._ops_of_lane):
            if len(mine) and len(costs.capacities):
                greatest[lane] = costs.demand[mine].max(axis=0)
        most = greatest.sum(axis=0) * np.where((greatest > 0).sum(axis=0) > 2, 1 + _ROUNDING, 1)
        return np.flatnonzero(most > costs.capacities)

    def _in_one_pass(self, costs: Costs) -> Times:
        from sim.retiming.fifo import time_fifo
        from sim.retiming.start import plain

        n, n_lanes = len(self._schedule), len(self._schedule.lanes)
        dispatched, start, end = np.empty((3, n))
        kind, lane, offsets, deps = self._columns
        duration, dispatch, handoff = map(plain, (costs.duration_s, costs.dispatch_s, costs.handoff_s))
        free = np.zeros(n_lanes)
        time_fifo(kind, lane, offsets, deps, duration, dispatch, handoff, free, dispatched, start, end)
        return Times(dispatched, start, end, np.zeros(n, np.bool_))

    def _by_events(self, costs: Costs, scarce: NDArray[np.intp]) -> Times:
        from sim.retiming.events import advance
        from sim.retiming.start import new_run

        run = new_run(*self._records, self._schedule.lanes, costs, scarce)
        advance(run, True)
        ops = run.ops[:-1]
        return Times(*(np.ascontiguousarray(ops[name]) for name in ("dispatched_s", "start_s", "end_s", "cancelled")))

    @cached_property
    def _columns(self) -> tuple[Codes, Codes, Numbers, Numbers]:
        """Kind and lane of each op, where its dependencies begin, and these."""
        ops = self._schedule.ops
        return (
            np.array(ops.kind),
            np.array(ops.lane),
            ops.deps.offsets.astype(np.int32),
            ops.deps.values.astype(np.int32),
        )

    @cached_property
    def _records(self) -> tuple[Any, Any]:
        """Ops and dependencies for the event engine."""
        from sim.retiming.start import dep_records, op_records

        return op_records(self._schedule.ops), dep_records(self._schedule.ops)

    @cached_property
    def _ops_of_lane(self) -> list[NDArray[np.intp]]:
        return [np.flatnonzero(self._schedule.ops.lane == lane) for lane in range(len(self._schedule.lanes))]
