"""Re-timing: the times of a Schedule under any costs, by the compiled engine or by the reference."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sim.compiler import without_compiler
from sim.cost import Costs
from sim.engine import never_runs, simulate
from sim.schedule import Kind, Schedule
from sim.timeline import StepEnds, Timeline, Times

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
    """Times one schedule under costs after costs, with all that does not depend on them prepared once."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._compiled = slow_because() is None
        self._step_ends = StepEnds(schedule)

    def times(self, costs: Costs) -> Times:
        """The times of every op."""
        if not self._compiled:
            return simulate(self._schedule, costs).times
        scarce = self._scarce(costs)
        return self._in_one_pass(costs) if self._in_order and not len(scarce) else self._by_events(costs, scarce)

    def step_ends(self, costs: Costs) -> NDArray[np.float64]:
        """End of each step, as `Timeline.step_end_s`."""
        return self._step_ends.of(self.times(costs).end_s)

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

        n, n_lanes = len(self._schedule), len(self._schedule.lanes)
        dispatched, start, end = np.empty((3, n))
        prices = costs.duration_s, costs.dispatch_s, costs.handoff_s
        time_fifo(*self._columns, *prices, np.zeros(n_lanes), dispatched, start, end)
        return Times(dispatched, start, end, np.zeros(n, np.bool_))

    def _by_events(self, costs: Costs, scarce: NDArray[np.intp]) -> Times:
        from sim.retiming.events import advance
        from sim.retiming.start import new_run

        run = new_run(self._ops, self._deps, self._schedule.lanes, costs, scarce)
        advance(run, True)
        ops = run.ops[:-1]
        stuck = np.flatnonzero(ops["end_s"] == np.inf)
        if len(stuck):
            raise never_runs(int(stuck[0]))
        return Times(*(np.ascontiguousarray(ops[name]) for name in ("dispatched_s", "start_s", "end_s", "cancelled")))

    @cached_property
    def _columns(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]]:
        """Kind and lane of each op, where its dependencies begin, and these."""
        ops = self._schedule.ops
        kind, lane = np.ascontiguousarray(ops.kind), np.ascontiguousarray(ops.lane)
        return kind, lane, ops.deps.offsets.astype(np.int32), ops.deps.values.astype(np.int32)

    @cached_property
    def _ops(self) -> Any:
        from sim.retiming.start import op_records

        return op_records(self._schedule.ops)

    @cached_property
    def _deps(self) -> Any:
        from sim.retiming.start import dep_records

        return dep_records(self._schedule.ops)

    @cached_property
    def _ops_of_lane(self) -> list[NDArray[np.intp]]:
        return [np.flatnonzero(self._schedule.ops.lane == lane) for lane in range(len(self._schedule.lanes))]

    @cached_property
    def _in_order(self) -> bool:
        """Whether ops start on each lane as they were issued, after what was issued before them."""
        ops = self._schedule.ops
        by_priority = [i for i, lane in enumerate(self._schedule.lanes) if lane.discipline == "priority"]
        chosen = np.isin(ops.lane, by_priority).any() or (ops.kind == Kind.CANCEL).any()
        owner = np.repeat(np.arange(len(ops)), np.diff(ops.deps.offsets))
        return not chosen and bool((ops.deps.values < owner).all())
