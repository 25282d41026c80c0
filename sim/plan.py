"""The planner: walks a trace step by step and layer by layer, and lets a strategy write the Schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.clock import SimulatedClock
from sim.cost import CostModel
from sim.errors import InputError, ScheduleError
from sim.fidelity import RoutingAccount
from sim.foresight import Foresight
from sim.model import MoEModel
from sim.planning.compiled import Prepared, compiled_plan, prepare
from sim.planning.twins import twin_of
from sim.precision import Precisions
from sim.predict import Predictor
from sim.program import Program
from sim.schedule import Phase, Schedule
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World
from sim.trace import RoutingTrace
from sim.windowed_plan import WindowedPlan
from sim.workload import Step, steps

WINDOW_OPS = 8192
PREDICTOR_REMEDY = "add `predictor: {kind: next-layer, recall: …}`"


def plan(
    strategy: Strategy, model: MoEModel, precisions: Precisions, trace: RoutingTrace, *, cached: int, batch: int = 1,
    popularity: NDArray[np.int64] | None = None, calibration: RoutingTrace | None = None,
    predictor: Predictor | None = None, costs: CostModel | None = None, seed: int = 0,
    prepared: Prepared | None = None, fast: bool = True,
) -> Schedule:  # fmt: skip
    """Write the Schedule of `strategy` for a trace, with room for `cached` experts on the GPU.

    `popularity` [MoE block, expert] comes from a `calibration` run (default: all equal). A strategy that weighs
    durations or asks the clock needs `costs`. Equal arguments give equal schedules.

    Where a strategy has a compiled twin (`sim.planning`), that plans the same unless `fast` is false. What was
    `prepared` of the same trace, batch size and kind of predictor saves it time and changes nothing.
    """
    if prepared is not None and (prepared.trace, prepared.batch) != (trace, batch):
        raise ValueError("what was prepared is of another trace or batch size")
    world = _world(
        strategy, model, precisions, trace, cached, batch, popularity, calibration, predictor, costs, seed
    )  # fmt: skip
    start_slots = strategy.start(world)
    if fast and (twin := twin_of(strategy)) is not None:
        known = prepared or prepare(trace, model, batch=batch)
        schedule, told = compiled_plan(twin, strategy, world, start_slots, known, predictor)
        return replace(schedule, meta=_stated(strategy, world, batch) | _learned(world, told.account, costs))
    return _written(strategy, world, start_slots, trace, batch, costs, window_ops=None).schedule()


def plan_windows(
    strategy: Strategy, model: MoEModel, precisions: Precisions, trace: RoutingTrace, *, cached: int, batch: int = 1,
    popularity: NDArray[np.int64] | None = None, calibration: RoutingTrace | None = None,
    predictor: Predictor | None = None, costs: CostModel | None = None, seed: int = 0, window_ops: int = WINDOW_OPS,
) -> WindowedPlan:  # fmt: skip
    """The same as windows of whole forward passes, of `window_ops` or little more each, written as they are taken.

    What the planner holds does not grow with the trace. Raises InputError for a strategy that knows the whole run.
    """
    check_windows(type(strategy))
    world = _world(
        strategy, model, precisions, trace, cached, batch, popularity, calibration, predictor, costs, seed
    )  # fmt: skip
    return _written(strategy, world, strategy.start(world), trace, batch, costs, window_ops=window_ops)


def _world(
    strategy: Strategy, model: MoEModel, precisions: Precisions, trace: RoutingTrace, cached: int, batch: int,
    popularity: NDArray[np.int64] | None, calibration: RoutingTrace | None, predictor: Predictor | None,
    costs: CostModel | None, seed: int,
) -> World:  # fmt: skip
    check_trace(trace, model)
    if popularity is None:
        popularity = np.ones((model.n_moe_layers, model.n_experts), np.int64)
    if strategy.needs_predictor and predictor is None:
        raise InputError(f"{strategy.name} needs a predictor", field="predictor", remedy=PREDICTOR_REMEDY)
    return World(
        model=model, precisions=precisions, n_slots=cached, popularity=popularity,
        foresight=Foresight(trace, predictor, reach=strategy.lookahead), calibration=calibration,
        costs=None if costs is None else costs.view(), seed=seed,
        future=_future(trace, model, batch) if strategy.needs_future else None,
    )  # fmt: skip


def _written(
    strategy: Strategy, world: World, start_slots: Sequence[Key], trace: RoutingTrace, batch: int,
    costs: CostModel | None, *, window_ops: int | None,
) -> WindowedPlan:  # fmt: skip
    """What the strategy writes pass by pass; `window_ops` None: in one window."""
    model, lanes, n_slots = world.model, strategy.lanes(), world.n_slots + strategy.extra_slots
    clock = SimulatedClock(lanes, costs) if costs is not None else None
    p = Program(model, world.precisions, lanes, n_slots=n_slots, start_slots=start_slots, clock=clock)
    account, foresight = RoutingAccount(model.n_moe_layers), world.foresight
    assert foresight is not None

    def meta() -> dict[str, Any]:
        lossy = {"fidelity": account.to_meta()} if strategy.lossy else {}
        return (
            _stated(strategy, world, batch) | lossy | _learned(world, foresight.account.to_meta(), costs, asked=p.asked)
        )

    passes = _walk(p, strategy, trace, batch, foresight, account)
    return WindowedPlan(p, passes, meta, window_ops, may_ask=strategy.asks_clock)


def _stated(strategy: Strategy, world: World, batch: int) -> dict[str, Any]:
    return {"strategy": strategy.name, "seed": world.seed, "batch": batch, "cached": world.n_slots}


def _learned(
    world: World, account: list[dict[str, Any]], costs: CostModel | None, *, asked: bool = False
) -> dict[str, Any]:
    """What a strategy asked of the predictor, of the machine's prices and clock, for the Schedule's meta data."""
    learned: dict[str, Any] = {"prediction": account} if account else {}
    weighed = world.costs is not None and world.costs.asked
    if weighed:
        learned["weighed_prices"] = True
    if costs is not None and (weighed or asked):
        learned["planned_for"] = costs.identity
    return learned


def check_windows(strategy: type[Strategy]) -> None:
    """Raise InputError for a strategy that cannot be planned in windows."""
    if strategy.needs_future:
        raise InputError(
            "knows the whole run, and so cannot be streamed", field="strategies.name", value=strategy.name,
            remedy="leave it out, or do not stream",
        )  # fmt: skip


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
        [(layer, expert) for expert in tokens_of(trace.ids[step.token_rows, moe], trace.missing)]
        if layer in _blocks(model, step)
        else []
        for step in steps(trace, batch)
        for moe, layer in enumerate(model.moe_layers)
    ]


def _blocks(model: MoEModel, step: Step) -> range:
    """The blocks that a forward pass runs through."""
    return range(model.n_layers) if step.phase == "prefill" else model.decode_layers


def _walk(
    p: Program, strategy: Strategy, trace: RoutingTrace, batch: int, foresight: Foresight, account: RoutingAccount
) -> Iterator[None]:
    """Write everything, pausing after each forward pass."""
    group = -1
    for step in foresight.walk(steps(trace, batch)):
        if (now := int(step.sequences[0]) // batch) != group:
            if group >= 0:
                strategy.end_sequences(p)
            strategy.begin_sequences(p)
            group = now
        _forward(p, strategy, trace, group, step, foresight, account)
        yield
    if group >= 0:
        strategy.end_sequences(p)


def _forward(
    p: Program, strategy: Strategy, trace: RoutingTrace, group: int, step: Step, foresight: Foresight,
    account: RoutingAccount,
) -> None:  # fmt: skip
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
        ids = foresight.route(moe)
        weights = None if trace.weights is None else trace.weights[step.token_rows, moe]
        routed = tokens_of(ids, trace.missing)
        now = LayerPass(layer, moe, foresight.number, phase, tokens, routed, ids, weights)
        ran = strategy.moe_layer(p, now)
        _check_computed(p, strategy, layer, routed)
        if strategy.lossy:
            account.add(phase, moe, ids, weights, ran)
        foresight.observe(moe)
    p.wait(p.head())


def _check_computed(p: Program, strategy: Strategy, layer: int, routed: dict[int, int]) -> None:
    """Raise ScheduleError if a strategy that is to follow the router ran other experts, or on more or fewer tokens."""
    computed = {expert: p.computed.pop((layer, expert)) for at, expert in list(p.computed) if at == layer}
    if not strategy.lossy and computed != routed:
        wrong = min(expert for expert in computed.keys() | routed if computed.get(expert) != routed.get(expert))
        raise ScheduleError(
            f"{strategy.name} ran expert {wrong} of block {layer} on {computed.get(wrong, 0)} tokens where the router "
            f"chose it for {routed.get(wrong, 0)}; a strategy that changes routing has to set `lossy`"
        )


def tokens_of(ids: NDArray[np.unsignedinteger], missing: int) -> dict[int, int]:
    """Tokens of each routed expert, in ascending order of experts."""
    if len(ids) == 1:
        return dict.fromkeys(sorted(e for e in ids[0].tolist() if e != missing), 1)
    experts, counts = np.unique(ids[ids != missing], return_counts=True)
    return dict(zip(experts.tolist(), counts.tolist(), strict=True))
