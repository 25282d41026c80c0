"""OverTime: how the cache, the links and the devices did in each step of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.metrics import uses
from sim.schedule import Kind, Phase, Reason
from sim.timeline import Timeline


@dataclass(frozen=True)
class OverTime:
    """Arrays [point]; a point is one step or, `binned`, the sum of a few consecutive ones.

    `lengths_s`: from the end of the step before to its own. `uses` of routed experts and the `hits` among them, and
    `loaded_bytes` [point, Reason] of weights, belong to the step that asked for them; the seconds `busy_s`
    [point, lane], as `Timeline.busy_s` counts them, to the step in whose time they fall.
    """

    steps: NDArray[np.int64]
    lengths_s: NDArray[np.float64]
    uses: NDArray[np.int64]
    hits: NDArray[np.int64]
    loaded_bytes: NDArray[np.int64]
    busy_s: NDArray[np.float64]

    @property
    def hit_rate(self) -> NDArray[np.float64]:
        """Share of the uses that hit [point]; NaN where nothing is used."""
        return _shares(self.hits, self.uses, of_nothing=np.nan)

    @property
    def busy(self) -> NDArray[np.float64]:
        """Share of the time in which a lane works [point, lane]."""
        return _shares(self.busy_s, self.lengths_s[:, None], of_nothing=0.0)

    @property
    def step_s(self) -> NDArray[np.float64]:
        """Mean seconds of a step [point]."""
        return self.lengths_s / self.steps

    def where(self, chosen: NDArray[np.bool_]) -> OverTime:
        """Some of the points, in the same order."""
        return OverTime(**{name: values[chosen] for name, values in vars(self).items()})

    def binned(self, most: int) -> OverTime:
        """At most so many points: each the sum of equally many consecutive ones, the last one perhaps of fewer."""
        n = len(self.steps)
        if n <= most:
            return self
        begins = np.arange(0, n, -(-n // most))
        return OverTime(**{name: np.add.reduceat(values, begins, axis=0) for name, values in vars(self).items()})


def over_time(timeline: Timeline, phase: Phase | None = None) -> OverTime:
    """A timeline step by step: all its steps in order, or those of one phase."""
    schedule, ops = timeline.schedule, timeline.schedule.ops
    n = len(schedule.steps)
    ends_s = np.concatenate(([0.0], np.maximum.accumulate(timeline.step_end_s)))
    used, hit = uses(ops)
    loads = np.flatnonzero((ops.kind == Kind.LOAD) & ~timeline.times.cancelled)
    asked_by = np.maximum(ops.step[loads].astype(np.int64), 0)  # what comes before the first step counts with it
    cells = n * len(Reason)
    loaded = np.bincount(asked_by * len(Reason) + ops.reason[loads], ops.size_bytes[loads], cells)[:cells]
    every = OverTime(
        steps=np.ones(n, np.int64),
        lengths_s=np.diff(ends_s),
        uses=np.bincount(ops.step[used], minlength=n),
        hits=np.bincount(ops.step[used[hit]], minlength=n),
        loaded_bytes=loaded.astype(np.int64).reshape(n, len(Reason)),
        busy_s=busy_between(timeline, ends_s),
    )
    return every if phase is None else every.where(np.array([step.phase == phase for step in schedule.steps], np.bool_))


def busy_between(timeline: Timeline, moments_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds in which each lane works between neighbours of `moments_s`, which ascend: [len(moments_s) - 1, lane].

    As `Timeline.busy_s`, the host's include dispatching, and waiting is left out everywhere.
    """
    times, working = timeline.times, timeline.schedule.facts.working
    busy_s = np.zeros((max(len(moments_s) - 1, 0), len(timeline.schedule.lanes)))
    for lane in range(busy_s.shape[1]):
        chosen = np.flatnonzero(working == lane)
        start_s, end_s = times.start_s[chosen], times.end_s[chosen]
        if lane == 0:
            start_s = np.concatenate((start_s, timeline.dispatch_start_s))
            end_s = np.concatenate((end_s, times.dispatched_s))
        busy_s[:, lane] = np.diff(_busy_until(start_s, end_s, moments_s))
    return busy_s


def _busy_until(
    start_s: NDArray[np.float64], end_s: NDArray[np.float64], moments_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Seconds of some spans of time that have passed by each moment."""
    if not len(start_s):
        return np.zeros(len(moments_s))
    changes_s = np.concatenate((start_s, end_s))
    order = np.argsort(changes_s, kind="stable")
    changes_s = changes_s[order]
    open_spans = np.cumsum(np.where(order < len(start_s), 1, -1))
    passed_s = np.concatenate(([0.0], np.cumsum(open_spans[:-1] * np.diff(changes_s))))
    return np.interp(moments_s, changes_s, passed_s)


def _shares(parts: NDArray[Any], wholes: NDArray[Any], of_nothing: float) -> NDArray[np.float64]:
    shares = np.full(parts.shape, of_nothing)
    np.divide(parts, wholes, out=shares, where=wholes > 0)
    return shares
