"""Gap: what keeps a run from its physical limit: policy, prediction, overlap, dispatch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.bounds import Bounder, Bounds
from sim.cost import Costs
from sim.critical_path import Cause, critical_path, wasted_prefetches
from sim.notebook import shown, why
from sim.program import CPU, GPU
from sim.retime import retime
from sim.schedule import HOST, Kind, Schedule
from sim.timeline import Timeline

_HOST_CAUSES = (Cause.DISPATCH, Cause.SYNCHRONISATION, Cause.WAKE_UP)


@shown(why.gap_card)
@dataclass(frozen=True)
class Gap:
    """A makespan in five parts, none negative, which sum to it.

    limit_s: what no strategy beats (`Bounds.limit_s`). policy_s: what the run's own loads, copies and computations
    take at least, beyond that, without the prefetches that nobody used; prediction_s: what these add. overlap_s: what
    waiting for each other adds, the host being free of charge; dispatch_s: what the host, and waking up, add.
    """

    limit_s: float
    policy_s: float
    prediction_s: float
    overlap_s: float
    dispatch_s: float

    @property
    def parts(self) -> dict[str, float]:
        """The four that a strategy, or the software, answers for; the largest first."""
        parts = {
            "policy": self.policy_s,
            "prediction": self.prediction_s,
            "overlap": self.overlap_s,
            "dispatch": self.dispatch_s,
        }
        return dict(sorted(parts.items(), key=lambda item: -item[1]))


def gap(timeline: Timeline, bounder: Bounder, limits: Bounds) -> Gap:
    """Split the makespan of a simulated timeline; `bounder` and `limits` are those of its schedule.

    Each part is the difference of two times, the makespan first: the same schedule with a host that takes no time (of
    one that asked the clock, what its critical path spends there is taken off instead); the most that any lane, any
    shared capacity and the order of the blocks ask of the run's own ops; the same without wasted prefetches; the limit.
    """
    costs, ran = bounder.costs, ~timeline.times.cancelled
    lean_s = max(_least_s(bounder, costs, ran & ~wasted_prefetches(timeline)), limits.limit_s)
    own_s = max(_least_s(bounder, costs, ran), lean_s)
    makespan_s = max(timeline.makespan_s, own_s)
    free_s = min(max(_with_a_free_host(timeline, costs), own_s), makespan_s)
    return Gap(limits.limit_s, lean_s - limits.limit_s, own_s - lean_s, free_s - own_s, makespan_s - free_s)


def _with_a_free_host(timeline: Timeline, costs: Costs) -> float:
    schedule = timeline.schedule
    if not schedule.clock_free:
        path = critical_path(timeline, costs)
        return path.length_s - float(path.segment_s[np.isin(path.cause, _HOST_CAUSES)].sum())
    nothing = np.zeros(len(schedule))
    on_host = schedule.ops.lane == schedule.lane_index[HOST]
    busy_s = np.where(on_host, 0.0, costs.duration_s)
    return retime(schedule, replace(costs, duration_s=busy_s, dispatch_s=nothing, handoff_s=nothing)).makespan_s


def _least_s(bounder: Bounder, costs: Costs, counted: NDArray[np.bool_]) -> float:
    """No order of the counted ops takes less: lanes and capacities do what they are given, blocks wait for blocks."""
    schedule = bounder.schedule
    lane_s = np.bincount(schedule.ops.lane[counted], costs.duration_s[counted], len(schedule.lanes))
    lane_s[schedule.lane_index[HOST]] = 0.0
    draw_s = (costs.duration_s[counted, None] * costs.demand[counted]).sum(axis=0) / np.array(costs.capacities)
    return max(float(lane_s.max()), float(draw_s.max(initial=0.0)), _blocks_s(bounder, schedule, costs))


def _blocks_s(bounder: Bounder, schedule: Schedule, costs: Costs) -> float:
    """Of blocks that come one after the other: the slower of GPU and CPU in each."""
    if not bounder.serial:
        return 0.0
    needed, ops = bounder.needs, schedule.ops
    seconds, inside = costs.duration_s[needed.model_ops], needed.visit_of >= 0
    of_lane = {}
    routed = (ops.kind == Kind.EXPERT) & (ops.expert >= 0)
    block = ops.step.astype(np.int64) * schedule.model.n_layers + ops.layer
    visits = np.unique(np.concatenate((block[needed.op], block[needed.model_ops[inside]])))
    for lane in (GPU, CPU):
        mine = routed & (ops.lane == schedule.lane_index.get(lane, -1))
        spent = np.bincount(np.searchsorted(visits, block[mine]), costs.duration_s[mine], needed.n_visits)
        of_lane[lane] = spent.astype(np.float64)  # for it counts in integers where there is nothing to count
    of_lane[GPU] += np.bincount(needed.visit_of[inside], seconds[inside], needed.n_visits)
    return float(seconds[~inside].sum() + np.maximum(of_lane[GPU], of_lane[CPU]).sum())
