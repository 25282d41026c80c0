"""Critical path: the chain of ops and waits that sets a Timeline's makespan, and what its seconds go to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.cost import Costs
from sim.notebook import shown, why
from sim.path_walk import Part, walk
from sim.schedule import Kind, Reason, Schedule
from sim.timeline import Timeline

Dimension = Literal["cause", "lane", "kind", "reason", "layer", "step"]


class Cause(IntEnum):
    """What a stretch of the path is spent on; in brackets, how reports call it."""

    GPU = 0  # compute on the GPU
    CPU_EXPERT = 1  # expert computed on the CPU
    DEMAND_LOAD = 2  # weights that were fetched, or streamed, once they were known to be needed
    LATE_PREFETCH = 3  # weights fetched ahead, used later, and not there in time
    WASTED_PREFETCH = 4  # weights fetched ahead and never used
    EXCHANGE = 5  # weights moved to swap or place experts, or copied back
    ACTIVATIONS = 6  # hidden states sent between GPU and host
    STORAGE = 7  # weights read from storage
    SOFTWARE = 8  # predictors, searches, bookkeeping
    DISPATCH = 9  # the host hands over ops
    SYNCHRONISATION = 10  # the host resumes after a wait
    WAKE_UP = 11  # an idle lane comes back to work
    SHARING = 12  # slow-down by others that draw on the same capacity
    HELD_UP = 13  # head-of-line blocking: an op is ready, and one ahead of it in its queue is not, or is a prefetch
    UNEXPLAINED = 14  # gaps of a measured run that no rule accounts for

    @property
    def label(self) -> str:
        """In the words of reports."""
        return _LABELS.get(self, self.name.lower().replace("_", " "))


_LABELS = {
    Cause.GPU: "GPU compute",
    Cause.CPU_EXPERT: "CPU experts",
    Cause.DEMAND_LOAD: "demand loads",
    Cause.LATE_PREFETCH: "late prefetches",
    Cause.WASTED_PREFETCH: "wasted prefetches",
    Cause.EXCHANGE: "weight exchanges",
    Cause.WAKE_UP: "wake-up",
    Cause.SHARING: "sharing slow-down",
    Cause.HELD_UP: "head-of-line blocking",
}
_OF_PART = {
    Part.DISPATCH: Cause.DISPATCH,
    Part.SYNCHRONISATION: Cause.SYNCHRONISATION,
    Part.WAKE_UP: Cause.WAKE_UP,
    Part.SHARING: Cause.SHARING,
    Part.GAP: Cause.UNEXPLAINED,
}
TRANSFERS = (Kind.LOAD, Kind.UNLOAD, Kind.SEND, Kind.READ)


@shown(why.path_card)
@dataclass(frozen=True)
class Path:
    """Segments in order of time, [segment] arrays: each begins where the one before ends, the first at 0.

    `op` is the op that a segment belongs to, also while it is dispatched or its lane wakes up for it; `lane` the
    number of the lane that spends the time (the host's while dispatching).
    """

    timeline: Timeline
    op: NDArray[np.intp]
    cause: NDArray[np.uint8]
    lane: NDArray[np.intp]
    begin_s: NDArray[np.float64]
    end_s: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.op)

    @property
    def length_s(self) -> float:
        """Equal to the makespan."""
        return float(self.end_s[-1] - self.begin_s[0]) if len(self) else 0.0

    @cached_property
    def segment_s(self) -> NDArray[np.float64]:
        """Seconds of each segment."""
        return self.end_s - self.begin_s

    def seconds(self, by: Dimension) -> dict[str, float]:
        """The makespan by cause, lane, kind, reason, layer or step of the ops, largest share first."""
        values, code = np.unique(self._column(by), return_inverse=True)
        sums = np.bincount(code, self.segment_s, len(values))
        name = self._namer(by)
        named = [(name(value), seconds) for value, seconds in zip(values.tolist(), sums.tolist(), strict=True)]
        return dict(sorted(named, key=lambda item: (-item[1], item[0])))

    def by_step(self) -> NDArray[np.float64]:
        """Seconds [step, cause] between the end of the step before and the end of each step; the last goes to the end.

        A row sums to what the step takes: for a decode step, to its TPOT.
        """
        ends = np.maximum.accumulate(self.timeline.step_end_s)
        pieces = cut(self, ends[:-1])
        step = np.searchsorted(ends[:-1], pieces.begin_s, side="right")
        sums = np.zeros((max(len(ends), 1), len(Cause)))
        np.add.at(sums, (step, pieces.cause), pieces.segment_s)
        return sums

    def exposed_s(self) -> dict[str, tuple[float, float]]:
        """Of each lane with transfers: seconds (exposed, hidden), on the path and off it, of those that moved bytes."""
        schedule, times = self.timeline.schedule, self.timeline.times
        moves = np.isin(schedule.ops.kind, TRANSFERS) & ~times.cancelled
        on_path = moves[self.op] & ~np.isin(self.cause, (Cause.DISPATCH, Cause.WAKE_UP, Cause.UNEXPLAINED))
        busy = np.bincount(schedule.ops.lane[moves], (times.end_s - times.start_s)[moves], len(schedule.lanes))
        exposed = np.bincount(self.lane[on_path], self.segment_s[on_path], len(schedule.lanes))
        return {
            lane.name: (float(exposed[i]), max(0.0, float(busy[i] - exposed[i])))
            for i, lane in enumerate(schedule.lanes)
            if busy[i]
        }

    def _column(self, by: Dimension) -> NDArray[np.generic]:
        if by == "cause":
            return self.cause
        if by == "lane":
            return self.lane
        column: NDArray[np.generic] = getattr(self.timeline.schedule.ops, by)[self.op]
        return column

    def _namer(self, by: Dimension) -> Callable[[int], str]:
        match by:
            case "cause":
                return lambda code: Cause(code).label
            case "lane":
                return lambda code: self.timeline.schedule.lanes[code].name
            case "kind":
                return lambda code: Kind(code).name.lower()
            case "reason":
                return lambda code: Reason(code).name.lower()
        return str


def critical_path(timeline: Timeline, costs: Costs | None = None) -> Path:
    """The path of a timeline, simulated or measured, found backwards from the op that ends last.

    An op starts when the last of these has come: the end of a dependency, its dispatch, the end of the op before it on
    its lane; the path goes on with that one (in this order where they come at once). `costs`, those that a simulated
    timeline was made with, tell the time that ops take from what sharing adds; without them that counts as work.
    Measured gaps that no rule accounts for are `UNEXPLAINED`.
    """
    found = walk(timeline, costs)
    cause = _work_causes(timeline)[found.op]
    for part, of_part in _OF_PART.items():
        cause[found.part == part] = of_part
    lane = timeline.schedule.ops.lane[found.op].astype(np.intp)
    lane[found.part == Part.DISPATCH] = 0
    path = Path(timeline, found.op, cause, lane, found.begin_s, found.end_s)
    if not len(found.held_up_s):
        return path
    path = cut(path, found.held_up_s.ravel())
    window = np.searchsorted(found.held_up_s[:, 0], path.begin_s, side="right") - 1
    held_up = (window >= 0) & (path.begin_s < found.held_up_s[window, 1]) & (path.cause != Cause.WASTED_PREFETCH)
    return replace(path, cause=np.where(held_up, np.uint8(Cause.HELD_UP), path.cause))


def cut(path: Path, moments: NDArray[np.float64]) -> Path:
    """The same path in more segments, none of which crosses one of `moments`."""
    inside = moments[(moments > 0) & (moments < path.timeline.makespan_s)]
    begins = np.unique(np.concatenate((path.begin_s, inside)))
    whole = np.searchsorted(path.begin_s, begins, side="right") - 1
    ends = np.append(begins[1:], path.end_s[-1:])
    return Path(path.timeline, path.op[whole], path.cause[whole], path.lane[whole], begins, ends)


def wasted_prefetches(timeline: Timeline) -> NDArray[np.bool_]:
    """Which ops are prefetches that ran although nobody read their weights before the slot was filled again."""
    ops = timeline.schedule.ops
    slotted = np.flatnonzero((ops.slot >= 0) & ~timeline.times.cancelled)
    ordered = slotted[np.argsort(ops.slot[slotted], kind="stable")]
    loads = ops.kind[ordered] == Kind.LOAD
    new_slot = np.diff(ops.slot[ordered], prepend=-1) > 0
    fill = np.cumsum(loads | new_slot)  # what a slot holds from the start counts as a fill too
    used = np.bincount(fill, ops.kind[ordered] == Kind.EXPERT) > 0
    wasted = np.zeros(len(ops), np.bool_)
    wasted[ordered[loads]] = ~used[fill[loads]] & (ops.reason[ordered[loads]] == Reason.PREFETCH)
    return wasted


def _work_causes(timeline: Timeline) -> NDArray[np.uint8]:
    """What the work of each op counts as."""
    schedule: Schedule = timeline.schedule
    ops = schedule.ops
    cause = np.full(len(ops), Cause.GPU, np.uint8)
    cpu = [i for i, lane in enumerate(schedule.lanes) if lane.name == "cpu"]
    cause[(ops.kind == Kind.EXPERT) & np.isin(ops.lane, cpu)] = Cause.CPU_EXPERT
    cause[ops.kind == Kind.LOAD] = Cause.DEMAND_LOAD
    cause[(ops.kind == Kind.LOAD) & (ops.reason == Reason.PREFETCH)] = Cause.LATE_PREFETCH
    cause[wasted_prefetches(timeline)] = Cause.WASTED_PREFETCH
    cause[(ops.kind == Kind.LOAD) & np.isin(ops.reason, (Reason.SWAP, Reason.PLACEMENT))] = Cause.EXCHANGE
    for kind, of_kind in (
        (Kind.UNLOAD, Cause.EXCHANGE), (Kind.SEND, Cause.ACTIVATIONS), (Kind.READ, Cause.STORAGE),
        (Kind.SOFTWARE, Cause.SOFTWARE), (Kind.WAIT, Cause.SYNCHRONISATION), (Kind.CANCEL, Cause.DISPATCH),
    ):  # fmt: skip
        cause[ops.kind == kind] = of_kind
    return cause
