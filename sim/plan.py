"""The planner: walks a trace step by step and layer by layer, and lets a strategy write the Schedule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.clock import SimulatedClock
from sim.cost import CostModel
from sim.errors import InputError
from sim.model import MoEModel
from sim.precision import Precisions
from sim.predict import Predictor
from sim.program import Program
from sim.schedule import Phase, Schedule
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World
from sim.trace import RoutingTrace
from sim.workload import Step, steps


def plan(
    strategy: Strategy, model: MoEModel, precisions: Precisions, trace: RoutingTrace, *, cached: int, batch: int = 1,
    popularity: NDArray[np.int64] | None = None, predictor: Predictor | None = None, costs: CostModel | None = None,
    seed: int = 0,
) -> Schedule:  # fmt: skip
    """Write the Schedule of `strategy` for a trace, with room for `cached` experts on the GPU.

    `popularity` [MoE block, expert] comes from a calibration run (default: all equal). A strategy that weighs
    durations or asks the clock needs `costs`. Equal arguments give equal schedules.
    """
    check_trace(trace, model)
    if popularity is None:
        popularity = np.ones((model.n_moe_layers, model.n_experts), np.int64)
    ahead = _Lookahead(trace, predictor)
    world = World(
        model=model, precisions=precisions, n_slots=cached, popularity=popularity, predict=ahead.predict,
        costs=costs, future=_future(trace, model, batch) if strategy.needs_future else None, seed=seed,
    )  # fmt: skip
    start_slots = strategy.start(world)
    lanes = strategy.lanes()
    clock = SimulatedClock(lanes, costs) if costs is not None else None
    p = Program(model, precisions, lanes, n_slots=cached + strategy.extra_slots, start_slots=start_slots, clock=clock)
    _walk(p, strategy, trace, batch, ahead)
    return p.schedule(strategy=strategy.name, seed=seed, batch=batch, cached=cached)


def check_trace(trace: RoutingTrace, model: MoEModel) -> None:
    """Raise InputError if the trace cannot be this model's."""
    for field, has, needs, unit in (
        ("layers", trace.n_layers, model.n_moe_layers, "MoE layers"),
        ("experts", trace.n_experts, model.n_experts, "experts"),
        ("top_k", max(trace.top_k, model.top_k), model.top_k, "experts a token"),
    ):
        if has != needs:
            raise InputError(
                f"the trace does not fit {model.name}, which has {needs} {unit}",
                field=field,
                value=has,
                remedy="choose the model that the trace was recorded on",
            )


def _future(trace: RoutingTrace, model: MoEModel, batch: int) -> list[list[Key]]:
    """The (block, expert) that every MoE block of every step will need, in order; nothing of blocks that do not run."""
    return [
        [(layer, expert) for expert in _tokens_of(trace.ids[step.token_rows, moe], trace.missing)]
        if layer in _blocks(model, step)
        else []
        for step in steps(trace, batch)
        for moe, layer in enumerate(model.moe_layers)
    ]


def _blocks(model: MoEModel, step: Step) -> range:
    """The blocks that a forward pass runs through."""
    return range(model.n_layers) if step.phase == "prefill" else model.decode_layers


def _walk(p: Program, strategy: Strategy, trace: RoutingTrace, batch: int, ahead: _Lookahead) -> None:
    group = -1
    for number, step in enumerate(steps(trace, batch)):
        if (now := int(step.sequences[0]) // batch) != group:
            if group >= 0:
                strategy.end_sequences(p)
            strategy.begin_sequences(p)
            group = now
        ahead.enter(number, step)
        _forward(p, strategy, trace, group, step, ahead)
    if group >= 0:
        strategy.end_sequences(p)


def _forward(p: Program, strategy: Strategy, trace: RoutingTrace, group: int, step: Step, ahead: _Lookahead) -> None:
    """One forward pass: its blocks, then the head, whose result the host waits for."""
    phase = Phase.PREFILL if step.phase == "prefill" else Phase.DECODE
    tokens, sequences = len(step.token_rows), len(step.sequences)
    p.begin_step(phase, group, sequences=sequences, tokens=tokens, context=round(float(step.context.mean())))
    for layer in _blocks(p.model, step):
        moe = p.model.moe_index(layer)
        strategy.before_layer(p, layer, moe)
        p.attention(layer)
        if moe < 0:
            p.hidden = p.shared(layer)
            continue
        ids = ahead.routing(moe)
        weights = None if trace.weights is None else trace.weights[step.token_rows, moe]
        strategy.moe_layer(
            p, LayerPass(layer, moe, ahead.number, phase, tokens, _tokens_of(ids, trace.missing), ids, weights)
        )
        ahead.observe(moe)
    p.wait(p.head())


def _tokens_of(ids: NDArray[np.unsignedinteger], missing: int) -> dict[int, int]:
    """Tokens of each routed expert, in ascending order of experts."""
    if len(ids) == 1:
        return dict.fromkeys(sorted(e for e in ids[0].tolist() if e != missing), 1)
    experts, counts = np.unique(ids[ids != missing], return_counts=True)
    return dict(zip(experts.tolist(), counts.tolist(), strict=True))


class _Lookahead:
    """Holds the present step's routing; a predictor sees the part that the strategy may not."""

    def __init__(self, trace: RoutingTrace, predictor: Predictor | None) -> None:
        self._trace, self._predictor = trace, predictor
        self.number = 0
        self._ids: NDArray[np.unsignedinteger] = trace.ids[:0]

    def enter(self, number: int, step: Step) -> None:
        """Move to a step."""
        self.number, self._ids = number, self._trace.ids[step.token_rows]

    def routing(self, moe: int) -> NDArray[np.unsignedinteger]:
        """Expert ids [token, k] of one MoE block in this step."""
        return self._ids[:, moe]

    def predict(self, moe: int) -> list[int]:
        """What the run's predictor says of a MoE block of this step; nothing where there is no predictor."""
        if self._predictor is None or moe >= self._trace.n_layers:
            return []
        truth: Sequence[int] | None = None
        if self._predictor.needs_truth:
            truth = list(_tokens_of(self.routing(moe), self._trace.missing))
        return self._predictor.predict(moe, self.number, None if truth is None else np.array(truth))

    def observe(self, moe: int) -> None:
        """Let the predictor learn what has just been routed."""
        if self._predictor is not None:
            self._predictor.observe(moe, self.routing(moe))
