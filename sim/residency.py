"""Residency: how many experts a run keeps on the GPU, hence what it saves of the memory that all of them would take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.stays import stays
from sim.timeline import Timeline


@dataclass(frozen=True)
class Residency:
    """Experts whose weights are on the GPU or on their way to it: the most at any time, and the mean over the run."""

    peak: int
    mean: float
    expert_bytes: int

    @property
    def peak_bytes(self) -> int:
        """GPU memory of the most experts."""
        return self.peak * self.expert_bytes

    @property
    def mean_bytes(self) -> float:
        """GPU memory of the mean."""
        return self.mean * self.expert_bytes


def residency(timeline: Timeline) -> Residency:
    """Count each of `sim.stays` from the start of its load.

    So a strategy that forgets weights instead of copying them back counts as filling its slots for good.
    """
    schedule, held = timeline.schedule, stays(timeline)
    moments = np.concatenate((held.asked_s, held.until_s))
    changes = np.repeat((1, -1), len(held.asked_s))
    there = np.cumsum(changes[np.lexsort((changes, moments))])
    total_s = float((held.until_s - held.asked_s).sum())
    return Residency(
        peak=int(there.max(initial=0)),
        mean=total_s / timeline.makespan_s if timeline.makespan_s else 0.0,
        expert_bytes=schedule.model.expert_bytes(schedule.precisions.experts),
    )
