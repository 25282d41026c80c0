"""SummaryAccount: the numbers of a run that comes in windows, in memory that does not grow with its ops."""

from __future__ import annotations

from array import array
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import ScheduleError
from sim.metrics import PhaseTimes, Summary, Tally, summary_of, tally
from sim.schedule import Kind, Lane, Phase, Step
from sim.window import TimedWindow


class SummaryAccount:
    """`add` the windows of a run in order; `summary` is then that of `sim.metrics.summarise` on all of it at once.

    Counts, quantiles and the makespan are equal to the bit, busy times but for the order of summation. It keeps the
    seconds of each step, 8 bytes a step: quantiles are exact. Every step needs a head, as planned ones have.
    """

    def __init__(self, lanes: tuple[Lane, ...]) -> None:
        self._lanes = lanes
        self._counts = Tally()
        self._busy_s = np.zeros(len(lanes))
        self._host_free_s = self._makespan_s = 0.0
        self._steps: deque[Step] = deque()  # those that have not ended
        self._number = -1  # of the present step
        self._head_end_s = self._last_end_s = 0.0  # of the present step so far, and of the step before
        self._step_s = {phase: array("d") for phase in Phase}
        self._tokens = dict.fromkeys(Phase, 0)

    def add(self, window: TimedWindow) -> None:
        """Count a window; raises ScheduleError for a step without a head."""
        ops, times = window.ops, window.times
        self._counts = Tally(*map(sum, zip(self._counts, tally(ops, times.cancelled), strict=True)))
        self._makespan_s = max(self._makespan_s, float(times.end_s.max(initial=0.0)))
        self._add_busy(window)
        self._steps.extend(window.steps)
        heads = np.flatnonzero(ops.kind == Kind.HEAD)
        self._add_heads(ops.step[heads], times.end_s[heads])

    def summary(self, meta: dict[str, Any]) -> Summary:
        """The numbers of all that was added; `meta` is the schedule's."""
        self._end_step()
        if self._steps:
            raise ScheduleError(f"step {self._number + 1} has no head, so that it never ends")
        phases = {
            phase: PhaseTimes(np.frombuffer(self._step_s[phase], np.float64), self._tokens[phase]) for phase in Phase
        }
        busy_s = {lane.name: float(self._busy_s[i]) for i, lane in enumerate(self._lanes)}
        return summary_of(self._counts, phases, self._makespan_s, busy_s, meta)

    def _add_busy(self, window: TimedWindow) -> None:
        """As `Timeline.busy_s`: the host's time includes dispatching and leaves out waiting."""
        ops, times = window.ops, window.times
        worked = np.where(ops.kind == Kind.WAIT, 0.0, times.end_s - times.start_s)
        self._busy_s += np.bincount(ops.lane, weights=worked, minlength=len(self._lanes))
        free = np.where(ops.lane == 0, times.end_s, times.dispatched_s)  # when the host turns to the next op
        before = np.concatenate(([self._host_free_s], free))
        self._busy_s[0] += np.maximum(times.dispatched_s - before[:-1], 0.0).sum()
        self._host_free_s = float(before[-1])

    def _add_heads(self, steps: NDArray[np.int32], end_s: NDArray[np.float64]) -> None:
        for number, end in zip(steps.tolist(), end_s.tolist(), strict=True):
            if number != self._number:
                self._end_step()
                if number != self._number + 1:
                    raise ScheduleError(f"step {self._number + 1} has no head, so that it never ends")
                self._number, self._head_end_s = number, 0.0
            self._head_end_s = max(self._head_end_s, end)

    def _end_step(self) -> None:
        if self._number < 0 or not self._steps:
            return
        step = self._steps.popleft()
        self._step_s[step.phase].append(self._head_end_s - self._last_end_s)
        self._tokens[step.phase] += step.sequences
        self._last_end_s = self._head_end_s
