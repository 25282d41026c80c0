"""Residency: how many experts a run keeps on the GPU, hence what it saves of the memory that all of them would take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.schedule import Kind
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
    """The most and the mean of the experts whose stays overlap."""
    schedule, stays = timeline.schedule, stays_s(timeline)
    changes = sorted((moment, change) for begin, end in stays for moment, change in ((begin, 1), (end, -1)))
    there = np.cumsum([change for _, change in changes])
    total_s = sum(end - begin for begin, end in stays)
    return Residency(
        peak=int(there.max(initial=0)),
        mean=total_s / timeline.makespan_s if timeline.makespan_s else 0.0,
        expert_bytes=schedule.model.expert_bytes(schedule.precisions.experts),
    )


def stays_s(timeline: Timeline) -> list[tuple[float, float]]:
    """From when to when each expert has a slot, in seconds: from the start of its load to the end of its copy back.

    Without a copy back, until the slot is filled anew: a strategy that forgets weights counts as filling its slots
    for good.
    """
    schedule, times = timeline.schedule, timeline.times
    ops = schedule.ops
    since_s = dict.fromkeys(range(len(schedule.start_slots)), 0.0)  # slots that hold an expert
    stays = []
    moves = np.isin(ops.kind, (Kind.LOAD, Kind.UNLOAD)) & (ops.slot >= 0) & ~times.cancelled
    for op in np.flatnonzero(moves).tolist():
        slot, load = int(ops.slot[op]), ops.kind[op] == Kind.LOAD
        moment_s = float(times.start_s[op] if load else times.end_s[op])
        if slot in since_s:
            stays.append((since_s.pop(slot), moment_s))
        if load:
            since_s[slot] = moment_s
    return stays + [(begin_s, timeline.makespan_s) for begin_s in since_s.values()]
