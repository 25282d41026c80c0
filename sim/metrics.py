"""Metrics: what a person reads off a Timeline, simulated or measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.fidelity import Fidelity, fidelity
from sim.notebook import runs, shown
from sim.prediction import Prediction, prediction
from sim.schedule import Kind, Ops, Phase, Reason, Schedule
from sim.timeline import Timeline

_FROM_CACHE = (Reason.HIT, Reason.PREFETCHED)


class Speeds(NamedTuple):
    """The part of a Summary that follows from the times of the steps; its fields are explained there."""

    ttft_s: float | None
    tpot_p50_s: float | None
    tpot_p95_s: float | None
    decode_tokens_per_s: float | None
    tokens_per_s: float
    makespan_s: float


@shown(runs.summary_card)
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
    schedule, cancelled = timeline.schedule, timeline.times.cancelled
    return summary_of(
        tally(schedule.ops, cancelled) if cancelled.any() else schedule.facts.tally,
        _phases(schedule, timeline.step_end_s),
        timeline.makespan_s,
        {lane.name: timeline.busy_s(lane.name) for lane in schedule.lanes},
        schedule.meta,
    )


class Tally(NamedTuple):
    """What is counted over ops; the tallies of consecutive ops add up. `uses` are of routed experts."""

    n_ops: int = 0
    uses: int = 0
    from_cache: int = 0
    prefetched: int = 0
    prefetches_used: int = 0
    bytes_loaded: int = 0
    bytes_unloaded: int = 0
    bytes_sent: int = 0


class PhaseTimes(NamedTuple):
    """Seconds of each step of one phase, in order, and the tokens that these steps yield together."""

    step_s: NDArray[np.float64]
    tokens: int


def tally(ops: Ops, cancelled: NDArray[np.bool_]) -> Tally:
    """Count over a block of ops."""
    n_uses, hits = _count(ops)
    return Tally(
        n_ops=len(ops),
        uses=n_uses,
        from_cache=hits,
        prefetched=int(((ops.kind == Kind.LOAD) & (ops.reason == Reason.PREFETCH) & ~cancelled).sum()),
        prefetches_used=int(((ops.kind == Kind.EXPERT) & (ops.reason == Reason.PREFETCHED)).sum()),
        bytes_loaded=_moved(ops, Kind.LOAD, cancelled),
        bytes_unloaded=_moved(ops, Kind.UNLOAD, cancelled),
        bytes_sent=_moved(ops, Kind.SEND, cancelled),
    )


def summary_of(
    counts: Tally, phases: Mapping[Phase, PhaseTimes], makespan_s: float, busy_s: Mapping[str, float],
    meta: dict[str, Any],
) -> Summary:  # fmt: skip
    """Put a run's numbers together: its ops, its steps by phase, its lanes, and what the schedule says of itself."""
    return Summary(
        **_speeds(phases, makespan_s)._asdict(),
        hit_rate=_share(counts.from_cache, counts.uses),
        prefetch_used=_share(counts.prefetches_used, counts.prefetched),
        bytes_loaded=counts.bytes_loaded,
        bytes_unloaded=counts.bytes_unloaded,
        bytes_sent=counts.bytes_sent,
        output_tokens=sum(phase.tokens for phase in phases.values()),
        n_ops=counts.n_ops,
        utilisation={lane: seconds / makespan_s if makespan_s else 0.0 for lane, seconds in busy_s.items()},
        fidelity=fidelity(meta),
        prediction=prediction(meta),
    )


def speeds(schedule: Schedule, step_end_s: NDArray[np.float64], makespan_s: float) -> Speeds:
    """Latencies and rates from the end of each step and of the run, in seconds."""
    return _speeds(_phases(schedule, step_end_s), makespan_s)


def _speeds(phases: Mapping[Phase, PhaseTimes], makespan_s: float) -> Speeds:
    prefill, decode = phases[Phase.PREFILL], phases[Phase.DECODE]
    decode_s, tokens = float(decode.step_s.sum()), prefill.tokens + decode.tokens
    return Speeds(
        ttft_s=_quantile(prefill.step_s, 0.5),
        tpot_p50_s=_quantile(decode.step_s, 0.5),
        tpot_p95_s=_quantile(decode.step_s, 0.95),
        decode_tokens_per_s=decode.tokens / decode_s if decode.tokens and decode_s else None,
        tokens_per_s=tokens / makespan_s if makespan_s else 0.0,
        makespan_s=makespan_s,
    )


def _phases(schedule: Schedule, step_end_s: NDArray[np.float64]) -> dict[Phase, PhaseTimes]:
    """Seconds from the end of the step before (or the start of the run) to the end of each step, by phase."""
    step_s, phase = np.diff(step_end_s, prepend=0.0), np.array([step.phase for step in schedule.steps], np.uint8)
    sequences = np.array([step.sequences for step in schedule.steps], np.int64)
    return {each: PhaseTimes(step_s[phase == each], int(sequences[phase == each].sum())) for each in Phase}


def hit_rate(schedule: Schedule) -> float | None:
    """Share of the uses of routed experts whose weights were on the GPU, or on their way, before the routing was."""
    n_uses, hits = _count(schedule.ops)
    return _share(hits, n_uses)


def moved_bytes(schedule: Schedule, kind: Kind, cancelled: NDArray[np.bool_] | bool = False) -> int:
    """Bytes that all ops of a transfer kind move, but for those `cancelled`."""
    return _moved(schedule.ops, kind, cancelled)


def _moved(ops: Ops, kind: Kind, cancelled: NDArray[np.bool_] | bool) -> int:
    return int(ops.size_bytes[(ops.kind == kind) & ~np.asarray(cancelled)].sum())


def uses(ops: Ops) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Numbers of the ops that use a routed expert, and which of these uses hit: arrays [use]."""
    routed = np.flatnonzero((ops.kind == Kind.EXPERT) & (ops.expert >= 0))
    return routed, np.isin(ops.reason[routed], _FROM_CACHE)


def _count(ops: Ops) -> tuple[int, int]:
    """Uses of routed experts, and how many of them hit."""
    routed, hit = uses(ops)
    return len(routed), int(hit.sum())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _quantile(values: NDArray[np.float64], q: float) -> float | None:
    return float(np.quantile(values, q)) if len(values) else None
