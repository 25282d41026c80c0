"""The routing that a scenario runs on, and the popularity of experts, taken from tokens that the run never sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.schema import LengthSpec, TraceSpec, WorkloadSpec
from sim.errors import InputError
from sim.model import MoEModel
from sim.synth import GENERIC, MIXTRAL_LIKE, synthesize
from sim.trace import RoutingTrace

_CALIBRATION_SEQUENCES = 4
_STYLES = {"mixtral": MIXTRAL_LIKE, "generic": GENERIC}
_FEW_EXPERTS = 16


@dataclass(frozen=True)
class Routing:
    """The trace to run, and how often each expert [MoE block, expert] was routed to in calibration sequences."""

    trace: RoutingTrace
    popularity: NDArray[np.int64]
    calibration: RoutingTrace | None = None


def synthetic(workload: WorkloadSpec, model: MoEModel, seed: int) -> Routing:
    """Draw the requests of a workload, after other requests to the same experts for calibration."""
    few = model.n_experts <= _FEW_EXPERTS
    style = _STYLES[workload.style or ("mixtral" if few else "generic")]
    n_sequences = _CALIBRATION_SEQUENCES + (workload.sequences or workload.batch)
    trace = synthesize(
        model.n_moe_layers,
        model.n_experts,
        model.top_k,
        sequences=[(prompt, workload.output - 1) for prompt in _prompts(workload.prompt, n_sequences, seed)],
        seed=seed,
        style=style,
    )
    return _split(trace, _CALIBRATION_SEQUENCES)


def _prompts(length: int | LengthSpec, n: int, seed: int) -> list[int]:
    """Prompt tokens of each request; the prefill of a prompt yields the first of the output tokens."""
    if isinstance(length, int):
        return [length] * n
    drawn = np.random.default_rng((seed, n)).lognormal(np.log(length.median), length.sigma, n)
    lengths: list[int] = np.clip(np.rint(drawn), 1, length.longest).astype(int).tolist()
    return lengths


def recorded(spec: TraceSpec, path: Path) -> Routing:
    """Load a recording and set its first share aside for popularity; raises InputError if it is unusable."""
    trace = RoutingTrace.load(path)
    trace.validate(path)
    if trace.n_tokens == 0:
        raise InputError("holds no tokens", file=path, remedy="record some")
    if trace.n_sequences == 1 and (tokens := int(spec.calibrate_on * trace.n_tokens)):
        return _split(_cut(trace, tokens), 1)
    return _split(trace, int(spec.calibrate_on * trace.n_sequences))


def _split(trace: RoutingTrace, n_calibration: int) -> Routing:
    """Sequences from number `n_calibration` on are run; with none before, all experts count as equally popular."""
    if not n_calibration:
        return Routing(trace, np.ones((trace.n_layers, trace.n_experts), np.int64))
    calibration = part(trace, 0, n_calibration)
    return Routing(part(trace, n_calibration, trace.n_sequences), calibration.popularity(), calibration)


def _cut(trace: RoutingTrace, tokens: int) -> RoutingTrace:
    """A single sequence as two: its first `tokens` tokens, and the rest, whose context begins anew."""
    prompt = int(trace.prompt_tokens[0])
    return RoutingTrace(
        ids=trace.ids,
        offsets=np.array([0, tokens, trace.n_tokens], np.int64),
        prompt_tokens=np.array([min(prompt, tokens), max(prompt - tokens, 0)], np.int64),
        n_experts=trace.n_experts,
        weights=trace.weights,
        provenance=trace.provenance,
    )


def part(trace: RoutingTrace, first: int, last: int) -> RoutingTrace:
    """Sequences `first` to `last`, exclusive, as a trace of their own (a view)."""
    start, end = int(trace.offsets[first]), int(trace.offsets[last])
    return RoutingTrace(
        ids=trace.ids[start:end],
        offsets=trace.offsets[first : last + 1] - start,
        prompt_tokens=trace.prompt_tokens[first:last],
        n_experts=trace.n_experts,
        weights=None if trace.weights is None else trace.weights[start:end],
        provenance=trace.provenance,
    )
