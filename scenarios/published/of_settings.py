"""Quantities read of a setting without running it: its model, its routing, the costs of single ops on its machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scenarios.datasheet import GIB
from scenarios.published.of_runs import all_weight_bytes
from sim.cost import CostModel
from sim.kernel_cost import OpSize
from sim.precision import weight_bytes
from sim.program import CPU, GPU, H2D
from sim.schedule import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from scenarios.published.spec import At
    from scenarios.resolve import Case


def model_gib(case: Case, at: At) -> float:
    """All weights."""
    return all_weight_bytes(case.model, case.precisions) / GIB


def moe_share(case: Case, at: At) -> float:
    """Of MoE blocks: their experts and their self-attention, of all weights."""
    model, precisions = case.model, case.precisions
    attention = weight_bytes(model.attention.matrix_params(model.hidden), precisions.rest)
    experts = model.n_slots_total * model.expert_bytes(precisions.experts)
    return (experts + model.n_moe_layers * attention) / all_weight_bytes(model, precisions)


def experts_used_share(case: Case, at: At) -> float:
    """Experts of a layer that a sequence uses; mean over sequences and MoE layers."""
    return float(
        np.mean([np.count_nonzero(prefill + decode) / case.trace.n_experts for prefill, decode in _used(case)])
    )


def prefill_decode_cosine(case: Case, at: At) -> float:
    """Between the tokens that experts get in prefill and in decode; mean over sequences and MoE layers."""
    return float(np.mean([a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in _used(case)]))


def expert_s(case: Case, at: At) -> float:
    """One expert on a device."""
    return _costs(case).op(Kind.EXPERT, GPU if at.device == "gpu" else CPU, OpSize(_layer(case), 0, at.tokens)).seconds


def copy_s(case: Case, at: At) -> float:
    """One copy to the GPU; default: of one expert."""
    size = case.model.expert_bytes(case.precisions.experts) if at.size_bytes is None else at.size_bytes
    return _costs(case).op(Kind.LOAD, H2D, OpSize(_layer(case), size_bytes=size)).seconds


def cpu_gb_per_s_together(case: Case, at: At) -> float:
    """What CPU kernels read of host memory while copies to the GPU do not pause."""
    return _together(case)[0]


def link_gb_per_s_together(case: Case, at: At) -> float:
    """What copies to the GPU reach while CPU kernels do not pause."""
    return _together(case)[1]


def _together(case: Case) -> tuple[float, float]:
    costs, size = _costs(case), case.model.expert_bytes(case.precisions.experts)
    expert = costs.op(Kind.EXPERT, CPU, OpSize(_layer(case), 0, tokens=1))
    load = costs.op(Kind.LOAD, H2D, OpSize(_layer(case), size_bytes=size))
    demands = zip(costs.capacities, expert.demand, load.demand, strict=True)
    rate = min(most / max(most, a + b) for most, a, b in demands)
    return rate * size / expert.seconds / 1e9, rate * size / load.seconds / 1e9


def _used(case: Case) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Tokens [expert] of each sequence and MoE layer, in prefill and in decode."""
    trace = case.trace
    for begin, end, prompt in zip(trace.offsets[:-1], trace.offsets[1:], trace.prompt_tokens, strict=True):
        for layer in range(trace.n_layers):
            parts = (trace.ids[begin : begin + prompt, layer], trace.ids[begin + prompt : end, layer])
            prefill, decode = (np.bincount(ids.ravel(), minlength=trace.n_experts)[: trace.n_experts] for ids in parts)
            yield prefill, decode


def _costs(case: Case) -> CostModel:
    return CostModel(case.machine, case.model, case.precisions, case.spec.stack)


def _layer(case: Case) -> int:
    return case.model.moe_layers[0]
