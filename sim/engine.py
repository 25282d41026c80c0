"""The reference engine: runs a Schedule on SimPy processes and gives every op its start and its end.

The host dispatches in program order and a `wait` holds it; a fifo lane runs in issue order and a head that is not
ready blocks it; a priority lane picks the lowest number among the ops handed over and ready; lanes that share a
capacity slow each other in proportion. The engine takes a schedule in pieces, keeps only what has not been taken
from it, and can stop at the host's present moment to answer a question about the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import simpy
from numpy.typing import NDArray

from sim.cost import Costs
from sim.errors import ScheduleError
from sim.host_lane import HostLane
from sim.job import Job
from sim.lanes import choice_is_next, make_lane
from sim.schedule import Lane, Ops, Schedule
from sim.sharing import SharedCapacity, Uses
from sim.timeline import Timeline, Times, join_times

_WINDOW = 8192  # ops; what the engine holds at once stays small, whatever the schedule's length


class Engine:
    """Runs ops on lanes: `feed` it blocks with their costs, `advance` or `finish`, then `take` the times."""

    def __init__(self, lanes: Sequence[Lane], capacities: Sequence[float] = ()) -> None:
        self._env = simpy.Environment()
        sharing = SharedCapacity(self._env, capacities)
        self._host = HostLane(self._env, sharing)
        everyone = [self._host, *(make_lane(lane, self._env, sharing) for lane in lanes[1:])]
        for lane in everyone:
            lane.lanes = everyone
        self._jobs: list[Job] = []
        self._first = 0  # index of the oldest job kept

    @property
    def now(self) -> float:
        """The present moment of the run, in seconds."""
        return float(self._env.now)

    def ended(self, op: int) -> bool:
        """Whether op number `op` has ended by now."""
        return op < self._first or self._jobs[op - self._first].end is not None

    def started(self, op: int) -> bool:
        """Whether op number `op` started before now; one that starts at this instant may still be withdrawn."""
        if op < self._first:
            return True
        start = self._jobs[op - self._first].start
        return start is not None and start < self._env.now

    def withdrawn(self, op: int) -> bool:
        """Whether op number `op`, which has not been taken, was cancelled in time."""
        return op >= self._first and self._jobs[op - self._first].cancelled

    def feed(self, ops: Ops, costs: Costs) -> None:
        """Issue the next block of ops; dependencies count from the first op ever fed."""
        jobs, first = self._jobs, self._first
        begin = len(jobs)
        offsets, deps = ops.deps.offsets.tolist(), ops.deps.values.tolist()
        columns = (
            range(first + begin, first + begin + len(ops)),
            ops.kind.tolist(),
            ops.lane.tolist(),
            ops.priority.tolist(),
            costs.duration_s.tolist(),
            costs.dispatch_s.tolist(),
            costs.handoff_s.tolist(),
            _uses(costs.demand),
        )
        jobs.extend(map(Job, *columns))
        for job, start, stop in zip(jobs[begin:], offsets, offsets[1:], strict=False):
            if start < stop:
                job.deps = [jobs[d - first] for d in deps[start:stop] if d >= first]
        self._host.issue(jobs[begin:])

    def advance(self) -> None:
        """Run up to the host's present moment: it has handled all that was fed, and all that ends by now has ended.

        Priority lanes have not chosen yet at this instant, for what is fed next may still be dispatched in it.
        """
        env = self._env
        while not self._host.idle:
            if env.peek() == float("inf"):
                self._deadlock()
            env.step()
        while env.peek() == env.now and not choice_is_next(env):
            env.step()

    def finish(self) -> None:
        """Run until every op has ended."""
        self._env.run()
        if any(job.end is None for job in self._jobs):
            self._deadlock()

    def take(self, *, before: int | None = None) -> Times:
        """The times of the oldest ops up to the first that has not ended, or to number `before`; they are forgotten."""
        jobs = self._jobs
        most = len(jobs) if before is None else max(0, before - self._first)
        n = next((i for i, job in enumerate(jobs) if job.end is None or i == most), len(jobs))
        taken = jobs[:n]
        del jobs[:n]
        self._first += n
        return Times(
            dispatched_s=np.array([job.dispatched for job in taken], np.float64),
            start_s=np.array([job.start for job in taken], np.float64),
            end_s=np.array([job.end for job in taken], np.float64),
            cancelled=np.array([job.cancelled for job in taken], np.bool_),
        )

    def _deadlock(self) -> None:
        stuck = next(job for job in self._jobs if job.end is None)
        raise ScheduleError(f"op {stuck.index} can never run: what it depends on never ends")


def simulate_windows(
    windows: Iterable[tuple[Ops, Costs]], lanes: Sequence[Lane], capacities: Sequence[float] = ()
) -> Iterator[Times]:
    """Times of a schedule that comes in pieces, in pieces of its own; holds only what has not ended."""
    engine = Engine(lanes, capacities)
    for ops, costs in windows:
        engine.feed(ops, costs)
        engine.advance()
        yield engine.take()
    engine.finish()
    yield engine.take()


def simulate(schedule: Schedule, costs: Costs) -> Timeline:
    """Give every op of `schedule` its times under `costs`."""
    pieces = [slice(begin, begin + _WINDOW) for begin in range(0, len(schedule), _WINDOW)]
    windows = ((schedule.ops[piece], costs[piece]) for piece in pieces)
    return Timeline(schedule, join_times(simulate_windows(windows, schedule.lanes, costs.capacities)))


def _uses(demand: NDArray[np.float64]) -> list[Uses]:
    """For each op, the (capacity, demand) pairs that are not zero."""
    uses: list[Uses] = [()] * len(demand)
    for op in np.flatnonzero(demand.any(axis=1)).tolist():
        uses[op] = tuple((c, float(demand[op, c])) for c in np.flatnonzero(demand[op]).tolist())
    return uses
