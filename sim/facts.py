"""Facts of a schedule that no machine changes, found once for all the timelines of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.metrics import Tally, tally
from sim.schedule import Kind
from sim.timeline import StepEnds

if TYPE_CHECKING:
    from sim.schedule import Schedule


class Facts:
    """What metrics need of one schedule again and again."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    @cached_property
    def tally(self) -> Tally:
        """What is counted over its ops if none of them is cancelled."""
        return tally(self._schedule.ops, np.zeros(len(self._schedule), np.bool_))

    @cached_property
    def step_ends(self) -> StepEnds:
        """Which ops end its steps."""
        return StepEnds(self._schedule)

    @cached_property
    def working(self) -> NDArray[np.intp]:
        """The lane that each op keeps at work; for waits, which keep none, the number after the last."""
        ops = self._schedule.ops
        return np.where(ops.kind == Kind.WAIT, len(self._schedule.lanes), ops.lane.astype(np.intp))

    @cached_property
    def of_host(self) -> NDArray[np.intp]:
        """The ops of the host lane."""
        return np.flatnonzero(self._schedule.ops.lane == 0)
