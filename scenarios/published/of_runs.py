"""Quantities read of a run that its summary does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scenarios.datasheet import GIB
from sim.model import MoEModel
from sim.precision import Precisions
from sim.schedule import Kind, Phase, Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scenarios.results import RunResult

_FROM_CACHE = (Reason.HIT, Reason.PREFETCHED)
_ON_CPU = (Reason.OFFLOAD, Reason.PRECOMPUTE)


def recall(run: RunResult) -> float | None:
    """Decode: share of the experts used that were on the GPU when they were routed to."""
    return _share_of_decode(run, _FROM_CACHE)


def cpu_share(run: RunResult) -> float | None:
    """Decode: share of the experts used that the CPU computed."""
    return _share_of_decode(run, _ON_CPU)


def precision(run: RunResult) -> float | None:
    """Decode: share of the cached experts that were used; each step finds `cached` of them, over all layers."""
    steps = sum(step.phase == Phase.DECODE for step in run.schedule.steps)
    hits = _decode_uses(run) & np.isin(run.schedule.ops.reason, _FROM_CACHE)
    return float(hits.sum() / (steps * run.cached)) if steps and run.cached else None


def block_s(run: RunResult) -> float | None:
    """Median time of a decode step, for each of its blocks."""
    tpot = run.summary.tpot_p50_s
    return None if tpot is None else tpot / len(run.schedule.model.decode_layers)


def later_passes_per_s(run: RunResult) -> float | None:
    """Forward passes after the first, over the time after it."""
    ends = run.timeline.step_end_s
    return float((len(ends) - 1) / (ends[-1] - ends[0])) if len(ends) > 1 else None


def moe_time_share(run: RunResult) -> float:
    """From the end of a block's attention to the end of its combination, of the whole run."""
    ops, end_s = run.schedule.ops, run.timeline.times.end_s
    attention, combine = (np.flatnonzero(ops.kind == kind) for kind in (Kind.ATTENTION, Kind.COMBINE))
    begins = {(int(ops.step[op]), int(ops.layer[op])): end_s[op] for op in attention}
    spent = sum(end_s[op] - begins[int(ops.step[op]), int(ops.layer[op])] for op in combine)
    return float(spent) / run.timeline.makespan_s


def idle_gib(run: RunResult) -> float:
    """Routed experts that a forward pass does not run; mean over passes."""
    ops, model = run.schedule.ops, run.schedule.model
    routed = (ops.kind == Kind.EXPERT) & (ops.expert >= 0)
    used = np.unique(np.stack([ops.step, ops.layer, ops.expert])[:, routed], axis=1).shape[1]
    idle: float = model.n_slots_total - used / len(run.schedule.steps)
    return idle * model.expert_bytes(run.schedule.precisions.experts) / GIB


def idle_share(run: RunResult) -> float:
    """The same, of all weights."""
    return idle_gib(run) * GIB / all_weight_bytes(run.schedule.model, run.schedule.precisions)


def all_weight_bytes(model: MoEModel, precisions: Precisions) -> int:
    """Every weight of a model."""
    return model.resident_bytes(precisions.rest) + model.n_slots_total * model.expert_bytes(precisions.experts)


def changed(run: RunResult) -> float:
    """0 for a strategy that follows the router."""
    return run.summary.fidelity.changed if run.summary.fidelity else 0.0


def gate_lost(run: RunResult) -> float | None:
    """0 for a strategy that follows the router; None if the trace has no gate weights."""
    return run.summary.fidelity.mass_lost if run.summary.fidelity else 0.0


def _share_of_decode(run: RunResult, reasons: tuple[Reason, ...]) -> float | None:
    used = _decode_uses(run)
    return float(np.isin(run.schedule.ops.reason[used], reasons).mean()) if used.any() else None


def _decode_uses(run: RunResult) -> NDArray[np.bool_]:
    """For each op whether it runs a routed expert in decode."""
    ops = run.schedule.ops
    decodes = np.array([step.phase == Phase.DECODE for step in run.schedule.steps])[np.clip(ops.step, 0, None)]
    uses: NDArray[np.bool_] = decodes & (ops.kind == Kind.EXPERT) & (ops.expert >= 0)
    return uses
