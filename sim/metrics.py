"""Metrics: what a person reads off a Timeline, simulated or measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.fidelity import Fidelity, fidelity
from sim.prediction import Prediction, prediction
from sim.schedule import Kind, Phase, Reason, Schedule
from sim.timeline import Timeline

_FROM_CACHE = (Reason.HIT, Reason.PREFETCHED)


@dataclass(frozen=True)
class Summary:
    """One run in numbers; None where the run has nothing to measure it on.

    TTFT is the median over batches, from the batch's start to the end of its prefill. TPOT is over decode steps.
    The hit rate is the share of (step, layer, expert) uses whose weights were resident or prefetched when routed.
    `fidelity` is None for strategies that follow the router, `prediction` for those that asked no predictor.
    """

    ttft_s: float | None
    tpot_p50_s: float | None
    tpot_p95_s: float | None
    decode_tokens_per_s: float | None
    tokens_per_s: float
    makespan_s: float
    hit_rate: float | None
    prefetch_used: float | None
    bytes_loaded: int
    bytes_unloaded: int
    bytes_sent: int
    output_tokens: int
    n_ops: int
    utilisation: dict[str, float]
    fidelity: Fidelity | None = None
    prediction: Prediction | None = None

    @property
    def loaded_gb_per_token(self) -> float:
        """Expert and block weights that crossed to the GPU, in GB for each token put out."""
        return self.bytes_loaded / 1e9 / max(1, self.output_tokens)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def summarise(timeline: Timeline) -> Summary:
    """The numbers of one Timeline."""
    schedule = timeline.schedule
    step_s, phase = _step_seconds(timeline), np.array([step.phase for step in schedule.steps], np.uint8)
    sequences = np.array([step.sequences for step in schedule.steps], np.int64)
    prefill, decode = step_s[phase == Phase.PREFILL], step_s[phase == Phase.DECODE]
    decoded = int(sequences[phase == Phase.DECODE].sum())
    total_s = timeline.makespan_s
    return Summary(
        ttft_s=_quantile(prefill, 0.5),
        tpot_p50_s=_quantile(decode, 0.5),
        tpot_p95_s=_quantile(decode, 0.95),
        decode_tokens_per_s=decoded / float(decode.sum()) if decoded and decode.sum() else None,
        tokens_per_s=int(sequences.sum()) / total_s if total_s else 0.0,
        makespan_s=total_s,
        hit_rate=hit_rate(schedule),
        prefetch_used=_prefetch_used(schedule, timeline.times.cancelled),
        bytes_loaded=moved_bytes(schedule, Kind.LOAD, timeline.times.cancelled),
        bytes_unloaded=moved_bytes(schedule, Kind.UNLOAD, timeline.times.cancelled),
        bytes_sent=moved_bytes(schedule, Kind.SEND, timeline.times.cancelled),
        output_tokens=int(sequences.sum()),
        n_ops=len(schedule),
        utilisation={lane.name: timeline.busy_s(lane.name) / total_s if total_s else 0.0 for lane in schedule.lanes},
        fidelity=fidelity(schedule.meta),
        prediction=prediction(schedule.meta),
    )


def hit_rate(schedule: Schedule) -> float | None:
    """Share of the uses of routed experts whose weights were on the GPU, or on their way, before the routing was."""
    ops = schedule.ops
    routed = (ops.kind == Kind.EXPERT) & (ops.expert >= 0)
    return float(np.isin(ops.reason[routed], _FROM_CACHE).mean()) if routed.any() else None


def moved_bytes(schedule: Schedule, kind: Kind, cancelled: NDArray[np.bool_] | bool = False) -> int:
    """Bytes that all ops of a transfer kind move, but for those `cancelled`."""
    return int(schedule.ops.size_bytes[(schedule.ops.kind == kind) & ~np.asarray(cancelled)].sum())


def _step_seconds(timeline: Timeline) -> NDArray[np.float64]:
    """Seconds from the end of the step before (or the start of the run) to the end of each step."""
    return np.diff(timeline.step_end_s, prepend=0.0)


def _prefetch_used(schedule: Schedule, cancelled: NDArray[np.bool_]) -> float | None:
    """Share of prefetched experts that were then used before they left."""
    ops = schedule.ops
    loads = int(((ops.kind == Kind.LOAD) & (ops.reason == Reason.PREFETCH) & ~cancelled).sum())
    used = int(((ops.kind == Kind.EXPERT) & (ops.reason == Reason.PREFETCHED)).sum())
    return used / loads if loads else None


def _quantile(values: NDArray[np.float64], q: float) -> float | None:
    return float(np.quantile(values, q)) if len(values) else None
