"""Compiled plans are those of the plain path: op for op, in every column, dependency, slot and word of meta data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.machine_presets import load_machine
from scenarios.presets import load_model
from sim.cache import ONLINE
from sim.cost import CostModel
from sim.errors import InputError
from sim.model import MoEModel
from sim.plan import plan
from sim.planning import twins
from sim.planning.compiled import prepare
from sim.planning.policies import COMPILED
from sim.planning.twins import twin_of
from sim.predict import LastTokenPredictor, PerfectPredictor, PopularityPredictor, RecallPredictor, RecordedPredictor
from sim.schedule import Schedule
from sim.strategies.cache import Cache
from sim.strategies.on_demand import OnDemand
from sim.strategies.registry import make_strategy
from sim.synth import synthesize
from sim.trace import RoutingTrace
from tests.equality import differences, same
from tests.hand_work import Guess
from tests.machines import BF16, busy_machine, tiny_costs, tiny_model
from tests.runs import DENSE_FIRST, MANY, ODD, PLAIN, SWITCH
from tests.traces import random_trace

pytest.importorskip("numba")

MODELS = [PLAIN, ODD, DENSE_FIRST, SWITCH, MANY, tiny_model(n_layers=1), tiny_model(n_experts=9)]
PREDICTORS: dict[str, Callable[[int, int], Any]] = {
    "recall": lambda layers, experts: RecallPredictor(layers, experts, recall=0.7, seed=3),
    "perfect": lambda layers, experts: PerfectPredictor(),
    "recorded": lambda layers, experts: RecordedPredictor(experts),
    "last-token": lambda layers, experts: LastTokenPredictor(experts),
    "popularity": lambda layers, experts: PopularityPredictor(layers, experts, size=2),
}
cache_knobs = st.fixed_dictionaries(
    {
        "policy": st.sampled_from(ONLINE),
        "scope": st.sampled_from(["layer", "global"]),
        "miss": st.sampled_from(["fetch", "fetch", "cpu", "cheaper"]),
        "evict": st.sampled_from(["drop", "swap"]),
        "spare": st.integers(0, 3),
        "prefetch": st.booleans(),
        "priority": st.booleans(),
    }
)
on_demand_knobs = st.fixed_dictionaries({"placeholders": st.integers(1, 3), "blocking": st.booleans()})
any_strategy = st.one_of(
    st.tuples(st.just("cache"), cache_knobs), st.tuples(st.just("cache"), cache_knobs),
    st.tuples(st.just("on-demand"), on_demand_knobs),
)  # fmt: skip


@st.composite
def traces(draw: st.DrawFn, model: MoEModel) -> RoutingTrace:
    """Prompts and outputs of several lengths, with gaps, and predictions that are often wrong."""
    lengths = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8)), max_size=4))
    shape, seed = (model.n_moe_layers, model.n_experts, model.top_k), draw(st.integers(0, 99))
    rng, trace, early = np.random.default_rng(seed), *(random_trace(lengths, *shape, at) for at in (seed, seed + 100))
    lost = rng.random(trace.ids.shape) < draw(st.sampled_from([0.0, 0.0, 0.3, 1.0]))
    named = np.where(rng.random(early.ids.shape) < 0.1, trace.missing, early.ids)[:, None]
    return replace(trace, ids=np.where(lost, trace.missing, trace.ids).astype(trace.ids.dtype), predicted=named)


class Outcome(NamedTuple):
    """A schedule, or what was complained of; what the machine's prices warned of, and what the predictor learned."""

    schedule: Schedule | str
    warnings: list[str]
    learned: Any


def outcome(
    name: str, knobs: dict[str, Any], model: MoEModel, trace: RoutingTrace, told: str = "recall", **more: Any
) -> Outcome:
    predictor, costs = PREDICTORS[told](model.n_moe_layers, model.n_experts), CostModel(busy_machine(), model, BF16)
    try:
        planned = plan(make_strategy(name, **knobs), model, BF16, trace, costs=costs, predictor=predictor, **more)
    except InputError as error:
        return Outcome(str(error), [], None)
    learned = vars(predictor).get("counts") if knobs.get("prefetch") else None
    return Outcome(planned, list(costs.warnings), learned)


def faults(fast: Schedule | str, plain: Schedule | str) -> list[str]:
    """Where they differ, column by column."""
    if isinstance(fast, str) or isinstance(plain, str):
        return [] if fast == plain else [f"{fast} / {plain}"]
    columns = [name for name in vars(plain.ops) if not same(getattr(fast.ops, name), getattr(plain.ops, name))]
    return differences(fast, plain) + columns


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_compiled_plans_equal_plain_ones(data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(MODELS))
    name, knobs = data.draw(any_strategy)
    popular = np.random.default_rng(data.draw(st.integers(0, 9)))
    setting: dict[str, Any] = {
        "model": model,
        "trace": data.draw(traces(model)),
        "told": data.draw(st.sampled_from(list(PREDICTORS))),
        "cached": data.draw(st.integers(0, model.n_slots_total + 2)),
        "batch": data.draw(st.integers(1, 3)),
        "popularity": popular.integers(0, 9, (model.n_moe_layers, model.n_experts)),
    }
    fast, plain = (outcome(name, knobs, **setting, fast=fast) for fast in (True, False))
    assert faults(fast.schedule, plain.schedule) == []
    assert fast.warnings == plain.warnings
    assert same(fast.learned, plain.learned)


@pytest.mark.parametrize("policy", COMPILED)
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_every_policy_evicts_alike_over_a_long_run(policy: str, scope: str) -> None:
    """Long enough for ghosts, ages, hands and windows to matter, few enough slots for experts that come late."""
    model = tiny_model(n_layers=3, n_experts=16, top_k=3)
    trace = synthesize(3, 16, 3, [(9, 60), (4, 40)], seed=1)
    for knobs in ({}, {"prefetch": True, "evict": "swap"}):
        for cached in (4, 20):
            fast, plain = (
                outcome("cache", {"policy": policy, "scope": scope, **knobs}, model, trace, cached=cached, fast=fast)
                for fast in (True, False)
            )
            assert faults(fast.schedule, plain.schedule) == []


REAL = [
    ("cache", {}), ("on-demand", {"blocking": True}),
    ("cache", {"policy": "lfu", "scope": "global", "miss": "cheaper", "evict": "swap", "prefetch": True}),
]  # fmt: skip


@pytest.mark.parametrize("preset", ["mixtral-8x7b", "qwen3-30b-a3b"])
@pytest.mark.parametrize(("name", "knobs"), REAL)
def test_real_models_plan_to_equal_files(preset: str, name: str, knobs: dict[str, Any], tmp_path: Path) -> None:
    model, machine = load_model(preset), load_machine("a6000-i9-10980xe")
    trace = synthesize(model.n_moe_layers, model.n_experts, model.top_k, [(12, 6)], seed=0)
    saved = []
    for fast in (True, False):
        predictor = RecallPredictor(model.n_moe_layers, model.n_experts, recall=0.8)
        schedule = plan(
            make_strategy(name, **knobs), model, BF16, trace, cached=model.n_slots_total // 3, fast=fast,
            predictor=predictor, costs=CostModel(machine, model, BF16),
        )  # fmt: skip
        schedule.validate()
        schedule.save(tmp_path / "schedule")
        saved.append((tmp_path / "schedule").read_bytes())
    assert saved[0] == saved[1]


def test_what_is_prepared_serves_all_caches_and_policies() -> None:
    trace = random_trace([(3, 9), (2, 5)], 2, 4, 2)
    ready = prepare(trace, PLAIN, batch=2, predictor=RecallPredictor(2, 4, recall=0.7, seed=3))
    for cached in (0, 3, 8):
        for knobs in ({"policy": "lfu"}, {"policy": "mrs"}, {"scope": "global", "priority": True}):
            fast, plain = (
                outcome("cache", knobs | {"prefetch": True}, PLAIN, trace, cached=cached, batch=2, **how)
                for how in ({"prepared": ready}, {"fast": False})
            )
            assert faults(fast.schedule, plain.schedule) == []


def test_what_is_prepared_spares_asking_the_predictor() -> None:
    class Silent(RecallPredictor):
        def predict(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError("was asked")

    trace = random_trace([(3, 9)], 2, 4, 2)
    ready = prepare(trace, PLAIN, predictor=RecallPredictor(2, 4, recall=0.7))
    predictor = Silent(2, 4, recall=0.7)
    plan(make_strategy("cache", prefetch=True), PLAIN, BF16, trace, cached=3, predictor=predictor, prepared=ready)
    with pytest.raises(AssertionError, match="was asked"):
        plan(make_strategy("cache", prefetch=True), PLAIN, BF16, trace, cached=3, predictor=predictor)


@pytest.mark.parametrize("fast", [True, False])
def test_what_is_prepared_for_another_run_is_refused(fast: bool) -> None:
    trace, other = (random_trace([(3, 9)], 2, 4, 2) for _ in range(2))
    for ready in (prepare(other, PLAIN), prepare(trace, PLAIN, batch=2)):
        with pytest.raises(ValueError, match="another trace or batch"):
            plan(make_strategy("cache"), PLAIN, BF16, trace, cached=3, prepared=ready, fast=fast)


class MyCache(Cache):
    """Does as it likes in places that a twin knows nothing of."""


def test_only_what_a_twin_covers_is_given_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    altered = OnDemand()
    altered.experts = lambda p, now, ready: []  # type: ignore[method-assign]
    for strategy in (
        MyCache(), make_strategy("sida"), make_strategy("moe-ondemand"), altered, Cache(policy="mrs"),
        OnDemand(placeholders=0),
    ):  # fmt: skip
        assert twin_of(strategy) is None
    for strategy in (Cache(), OnDemand(), *(Cache(policy=policy) for policy in COMPILED)):
        assert twin_of(strategy) is not None
    assert set(COMPILED) == set(ONLINE) - {"mrs"}
    monkeypatch.setattr(twins, "has_compiler", lambda: False)
    assert twin_of(Cache()) is None
    trace = random_trace([(3, 9)], 2, 4, 2)
    assert len(plan(Cache(), PLAIN, BF16, trace, cached=3)) == len(
        plan(Cache(), PLAIN, BF16, trace, cached=3, fast=False)
    )


def complaint(strategy: Cache | OnDemand, trace: RoutingTrace, *, fast: bool, **more: Any) -> str:
    with pytest.raises(InputError) as caught:
        plan(strategy, PLAIN, BF16, trace, fast=fast, **more)
    return str(caught.value)


@pytest.mark.parametrize(
    ("strategy", "more"),
    [
        (Cache(spare=0), {"cached": 1}),
        (Cache(prefetch=True), {"cached": 4}),
        (Cache(prefetch=True), {"cached": 4, "predictor": RecordedPredictor(4)}),
        (Cache(miss="cheaper"), {"cached": 2}),
        (Cache(), {"cached": 4, "batch": 0}),
        (OnDemand(), {"cached": 4, "batch": 0}),
    ],
)
def test_complaints_are_the_same(strategy: Cache | OnDemand, more: dict[str, Any]) -> None:
    trace = random_trace([(3, 2)], 2, 4, 2)
    assert complaint(strategy, trace, fast=True, **more) == complaint(strategy, trace, fast=False, **more)


def test_prices_that_do_not_matter_are_not_weighed() -> None:
    """With everything cached nothing is missed, so that the schedule is good for any machine."""
    trace = random_trace([(3, 2)], 2, 4, 2)
    for cached, portable in ((8, True), (2, False)):
        costs = tiny_costs(PLAIN)
        assert plan(Cache(miss="cheaper"), PLAIN, BF16, trace, cached=cached, costs=costs).portable == portable


def test_guesses_of_experts_that_do_not_exist_are_refused() -> None:
    trace = random_trace([(3, 2)], 2, 4, 2)
    with pytest.raises(InputError, match="has 4 experts"):
        plan(Cache(prefetch=True), PLAIN, BF16, trace, cached=4, predictor=Guess(1, 4))
