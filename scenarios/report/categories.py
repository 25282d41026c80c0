"""What time is spent on: the reason of an op, or on the host its dispatching and its waiting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.schedule import Kind, Reason
from sim.timeline import Timeline


@dataclass(frozen=True)
class Category:
    """A colour in the figures, `--c-<name>` of palette.py, and what it stands for."""

    name: str
    label: str

    @property
    def paint(self) -> str:
        """Its CSS colour."""
        return f"var(--c-{self.name})"


_LABELS = {
    Reason.MODEL: "attention, router, shared",
    Reason.HIT: "expert: hit",
    Reason.PREFETCHED: "expert: prefetched",
    Reason.DEMAND: "demand load and its expert",
    Reason.STREAM: "streamed weights and expert",
    Reason.OFFLOAD: "CPU expert and its activations",
    Reason.PREFETCH: "prefetch",
    Reason.PRECOMPUTE: "expert on a predicted route",
    Reason.SWAP: "swap",
    Reason.PLACEMENT: "placement",
    Reason.BOOKKEEPING: "software",
}
CATEGORIES = (
    *(Category(reason.name.lower(), _LABELS[reason]) for reason in Reason),
    Category("dispatch", "dispatch"),
    Category("wait", "host waits"),
)
DISPATCH, WAIT = len(Reason), len(Reason) + 1  # codes after those of the reasons


def categories_of(timeline: Timeline) -> NDArray[np.int64]:
    """Code of every op's category: an index of CATEGORIES."""
    ops = timeline.schedule.ops
    return np.where(ops.kind == Kind.WAIT, WAIT, ops.reason.astype(np.int64))


def busy_s(timeline: Timeline) -> NDArray[np.float64]:
    """Busy seconds [lane, category]; a row sums to the lane's `Timeline.busy_s`, so that waiting is left out."""
    schedule, times = timeline.schedule, timeline.times
    busy = np.zeros((len(schedule.lanes), len(CATEGORIES)))
    np.add.at(busy, (schedule.ops.lane, categories_of(timeline)), times.end_s - times.start_s)
    busy[:, WAIT] = 0.0
    busy[0, DISPATCH] = timeline.dispatch_s
    return busy
