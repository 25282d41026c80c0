"""Walking a Timeline backwards, from the op that ends last to the start, along what each op waited for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.cost import Costs
from sim.releases import before_on_lane, last_dependency
from sim.schedule import Kind, Reason
from sim.timeline import Timeline

_WAIT, _CANCEL = int(Kind.WAIT), int(Kind.CANCEL)
_NOT_URGENT = (Reason.PREFETCH, Reason.SWAP, Reason.PLACEMENT)
_ROUNDING = 1e-9  # relative; below it a duration is the one at full speed
_NEVER = float("-inf")
_ALWAYS = float("inf")


class Part(IntEnum):
    """What an op does, or what is done for it, in a segment of the path."""

    WORK = 0
    SHARING = 1  # beyond what it takes at full speed
    DISPATCH = 2
    SYNCHRONISATION = 3
    WAKE_UP = 4
    GAP = 5


@dataclass(frozen=True)
class Walked:
    """Segments in order of time, each beginning where the one before ends.

    `held_up_s` [window, (begin, end)], in order of time too: when an op of the path was ready, and the queue of its
    lane kept it: the lane stood idle for the sake of one ahead of it, or moved weights that were not needed yet.
    """

    op: NDArray[np.intp]
    part: NDArray[np.uint8]
    begin_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    held_up_s: NDArray[np.float64]


def walk(timeline: Timeline, costs: Costs | None) -> Walked:
    """Walk the whole way; see `sim.critical_path.critical_path` for the rules."""
    walker = _Walker(timeline, costs)
    walker.run()
    op, part = np.array(walker.op, np.intp), np.array(walker.part, np.uint8)
    begin_s, end_s = np.array(walker.begin_s, np.float64), np.array(walker.end_s, np.float64)
    kept = np.flatnonzero(begin_s < end_s)[::-1]
    windows = np.array(walker.held_up_s[::-1], np.float64).reshape(-1, 2)
    return Walked(op[kept], part[kept], begin_s[kept], end_s[kept], windows)


class _Walker:
    """Stands at an op and a moment, no later than that op's end; goes back until the start."""

    def __init__(self, timeline: Timeline, costs: Costs | None) -> None:
        schedule, times = timeline.schedule, timeline.times
        ops = schedule.ops
        self._kind, self._lane = ops.kind.tolist(), ops.lane.tolist()
        self._last_dep, self._dep_end = (column.tolist() for column in last_dependency(timeline))
        self._dispatched, self._start, self._end = (
            column.tolist() for column in (times.dispatched_s, times.start_s, times.end_s)
        )
        moves = np.isin(ops.kind, (Kind.LOAD, Kind.UNLOAD))
        self._urgent = (~(moves & np.isin(ops.reason, _NOT_URGENT))).tolist()
        self._before = before_on_lane(timeline).tolist()
        self._host_ops = np.flatnonzero(ops.lane == 0)
        self._cancelled_by = _cancelled_by(timeline)
        simulated = timeline.source == "simulated"
        self._full_s = costs.duration_s.tolist() if costs is not None and simulated else None
        self._wake_s = None if costs is None else costs.handoff_s.tolist()
        self._most_wake_s = _ALWAYS if simulated else 0.0
        self.op: list[int] = []
        self.part: list[int] = []
        self.begin_s: list[float] = []
        self.end_s: list[float] = []
        self.held_up_s: list[tuple[float, float]] = []
        self._now = timeline.makespan_s
        self._last = int(times.end_s.argmax()) if len(times) else -1
        self._queue_ready_s = _ALWAYS  # since when some op of the path was ready in the queue that it follows
        self._urgent_ready_s = _ALWAYS  # and since when an urgent one was

    def run(self) -> None:
        """Go from the op that ends last to the start."""
        op = self._last
        while op >= 0:
            if op in self._cancelled_by:
                op = self._through_cancelled(op)
            elif self._kind[op] == _CANCEL:
                op = self._through_dispatch(op)
            elif self._kind[op] == _WAIT:
                op = self._through_wait(op)
            else:
                op = self._through_work(op)

    # -- one op --------------------------------------------------------------------------------------------

    def _through_cancelled(self, op: int) -> int:
        """It ended because the cancel came, until when it kept those behind it from an idle lane."""
        self._leave_the_queue(self._free_s(op))
        return self._cancelled_by.pop(op)

    def _through_wait(self, op: int) -> int:
        dep: int = self._last_dep[op]
        ready_s = self._dep_end[op]
        self._emit(op, Part.SYNCHRONISATION, max(ready_s, self._dispatched[op]))
        return dep if ready_s >= self._dispatched[op] else self._through_dispatch(op)

    def _through_work(self, op: int) -> int:
        start_s = self._start[op]
        if not self._urgent[op]:
            self._held_up(max(start_s, self._urgent_ready_s))
        if self._full_s is not None:
            full_end_s = start_s + self._full_s[op]
            if self._now - full_end_s > _ROUNDING * self._full_s[op]:
                self._emit(op, Part.SHARING, full_end_s)
        self._emit(op, Part.WORK, start_s)
        return self._to_what_let_it_start(op)

    def _to_what_let_it_start(self, op: int) -> int:
        dep: int = self._last_dep[op]
        dep_end_s = self._dep_end[op]
        ready_s, free_s = max(dep_end_s, self._dispatched[op]), self._free_s(op)
        self._through_gap(op, max(ready_s, free_s))
        before: int = self._before[op]
        if ready_s < free_s and (before < op or self._start[before] < self._now):
            self._queue_ready_s = min(self._queue_ready_s, ready_s)
            if self._urgent[op]:
                self._urgent_ready_s = min(self._urgent_ready_s, ready_s)
            return before
        self._leave_the_queue(free_s)
        return dep if dep_end_s >= self._dispatched[op] else self._through_dispatch(op)

    def _through_gap(self, op: int, since_s: float) -> None:
        """From the moment when nothing kept an op any more to its start."""
        if since_s >= self._now:
            return
        most_s = self._most_wake_s if self._wake_s is None else self._wake_s[op]
        slack_s = _ROUNDING * most_s if most_s < _ALWAYS else 0.0
        if self._now - since_s > most_s + slack_s:
            self._emit(op, Part.GAP, since_s + most_s)
        self._emit(op, Part.WAKE_UP, since_s)

    def _through_dispatch(self, op: int) -> int:
        """Through all that the host handed over since its last own op, which the walk goes on with."""
        at = int(np.searchsorted(self._host_ops, op)) - 1
        host_op = int(self._host_ops[at]) if at >= 0 else -1
        free_s = self._end[host_op] if at >= 0 else 0.0
        moments = [min(self._now, s) for s in (free_s, *self._dispatched[host_op + 1 : op], self._now)]
        pairs = list(pairwise(moments))[::-1]
        self.op.extend(range(op, host_op, -1))
        self.part.extend([Part.DISPATCH] * len(pairs))
        self.begin_s.extend(begin_s for begin_s, _ in pairs)
        self.end_s.extend(end_s for _, end_s in pairs)
        self._now = moments[0]
        return host_op

    # -- what they share -----------------------------------------------------------------------------------

    def _emit(self, op: int, part: Part, begin_s: float) -> None:
        """One segment from `begin_s` to the present moment, which is `begin_s` from now on."""
        if begin_s < self._now:
            self.op.append(op)
            self.part.append(part)
            self.begin_s.append(begin_s)
            self.end_s.append(self._now)
            self._now = begin_s

    def _free_s(self, op: int) -> float:
        """When its lane had done with all ahead of the op."""
        before: int = self._before[op]
        return self._end[before] if before >= 0 else _NEVER

    def _leave_the_queue(self, free_s: float) -> None:
        """The path goes on elsewhere, from the head of a queue whose lane has stood idle since `free_s`."""
        self._held_up(max(self._queue_ready_s, free_s))
        self._queue_ready_s = self._urgent_ready_s = _ALWAYS

    def _held_up(self, since_s: float) -> None:
        """Add the time until now to the windows, which stay disjoint."""
        until_s = min(self._now, self.held_up_s[-1][0]) if self.held_up_s else self._now
        if since_s < until_s:
            self.held_up_s.append((since_s, until_s))


def _cancelled_by(timeline: Timeline) -> dict[int, int]:
    """The cancel that each op was withdrawn by: the first of those meant for it."""
    ops = timeline.schedule.ops
    cancels = np.flatnonzero(ops.kind == _CANCEL)
    targets = ops.deps.values[ops.deps.offsets[cancels]].tolist()
    pairs = reversed(list(zip(targets, cancels.tolist(), strict=True)))
    return {target: cancel for target, cancel in pairs if timeline.times.cancelled[target]}
