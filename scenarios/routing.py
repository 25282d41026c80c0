"""The routing that a scenario runs on, and the popularity of experts, taken from tokens that the run never sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.routing_presets import load_routing, routing_of
from scenarios.schema import LengthSpec, TraceSpec, WorkloadSpec
from sim.errors import InputError
from sim.model import MoEModel
from sim.synth import synthesize
from sim.trace import RoutingTrace

_CALIBRATION_SEQUENCES = 4


@dataclass(frozen=True)
class Routing:
    """The trace to run, and how often each expert [MoE block, expert] was routed to in calibration sequences."""

    trace: RoutingTrace
    popularity: NDArray[np.int64]
    calibration: RoutingTrace | None = None


def synthetic(workload: WorkloadSpec, model: MoEModel, seed: int, folder: str | Path = ".") -> Routing:
    """Draw the requests of a workload, after other requests to the same experts for calibration.

    A routing preset that the workload names by path is relative to `folder`.
    """
    preset = load_routing(workload.like, folder) if workload.like else routing_of(model)
    n_sequences = _CALIBRATION_SEQUENCES + (workload.sequences or workload.batch)
    trace = synthesize(
        model.n_moe_layers,
        model.n_experts,
        model.top_k,
        sequences=[(prompt, workload.output - 1) for prompt in _prompts(workload.prompt, n_sequences, seed)],
        seed=seed,
        style=preset.style,
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
    return shared_out(spec, trace, path)


def shared_out(spec: TraceSpec, trace: RoutingTrace, path: str | Path | None = None) -> Routing:
    """The same of a trace that is loaded; `path` is for messages."""
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
    calibration = trace.part(0, n_calibration)
    return Routing(trace.part(n_calibration, trace.n_sequences), calibration.popularity(), calibration)


def _cut(trace: RoutingTrace, tokens: int) -> RoutingTrace:
    """A single sequence as two: its first `tokens` tokens, and the rest, whose context begins anew."""
    prompt = int(trace.prompt_tokens[0])
    offsets = np.array([0, tokens, trace.n_tokens], np.int64)
    return replace(
        trace, offsets=offsets, prompt_tokens=np.array([min(prompt, tokens), max(prompt - tokens, 0)], np.int64)
    )
