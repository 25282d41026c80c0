"""Compiled plans are those of the plain path: op for op, in every column, dependency, slot and word of meta data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cache import ONLINE
from sim.cost import CostModel
from sim.errors import InputError
from sim.model import MoEModel
from sim.plan import plan
from sim.planning.twins import twin_of
from sim.predict import (
    LastTokenPredictor,
    PerfectPredictor,
    PopularityPredictor,
    Predictor,
    RecallPredictor,
    RecordedPredictor,
)
from sim.schedule import Schedule
from sim.strategies.registry import make_strategy
from sim.trace import RoutingTrace
from tests.equality import differences, same
from tests.machines import BF16, busy_machine, tiny_model
from tests.runs import DENSE_FIRST, MANY, ODD, PLAIN, SWITCH
from tests.traces import random_trace

pytest.importorskip("numba")

MODELS = [
    PLAIN,
    ODD,
    DENSE_FIRST,
    SWITCH,
    MANY,
    tiny_model(name="one", n_layers=1),
    tiny_model(name="wide", n_experts=9),
]
PREDICTORS = ["recall", "perfect", "recorded", "last-token", "popularity"]

knobs_of_cache = st.fixed_dictionaries(
    {
        "policy": st.sampled_from(ONLINE),
        "scope": st.sampled_from(["layer", "global"]),
        "miss": st.sampled_from(["fetch", "cpu", "cheaper"]),
        "evict": st.sampled_from(["drop", "swap"]),
        "spare": st.integers(0, 3),
        "prefetch": st.booleans(),
        "priority": st.booleans(),
    }
)
knobs_of_on_demand = st.fixed_dictionaries({"placeholders": st.integers(1, 3), "blocking": st.booleans()})
strategies_with_knobs = st.one_of(
    st.tuples(st.just("cache"), knobs_of_cache), st.tuples(st.just("on-demand"), knobs_of_on_demand)
)


@st.composite
def traces(draw: st.DrawFn, model: MoEModel) -> RoutingTrace:
    """Routing that comes back to the same experts often enough to hit, with gaps, and predictions of its own."""
    lengths = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8)), max_size=4))
    seed = draw(st.integers(0, 99))
    trace = random_trace(lengths, model.n_moe_layers, model.n_experts, model.top_k, seed)
    rng = np.random.default_rng(seed)
    early = random_trace(lengths, model.n_moe_layers, model.n_experts, model.top_k, seed + 100).ids[:, None]
    lost = rng.random(trace.ids.shape) < draw(st.sampled_from([0.0, 0.0, 0.3, 1.0]))
    ids = np.where(lost, trace.missing, trace.ids).astype(trace.ids.dtype)
    return replace(trace, ids=ids, predicted=np.where(rng.random(early.shape) < 0.1, trace.missing, early))


def predictor(kind: str, model: MoEModel) -> Predictor:
    n_layers, n_experts = model.n_moe_layers, model.n_experts
    match kind:
        case "recall":
            return RecallPredictor(n_layers, n_experts, recall=0.7, seed=3)
        case "perfect":
            return PerfectPredictor()
        case "recorded":
            return RecordedPredictor(n_experts)
        case "last-token":
            return LastTokenPredictor(n_experts)
    return PopularityPredictor(n_layers, n_experts, size=model.top_k)


def both(name: str, knobs: dict[str, Any], model: MoEModel, trace: RoutingTrace, kind: str = "recall", **more: Any):
    """The compiled plan and the plain one, or what each of them raises."""
    found: list[Schedule | str] = []
    for fast in (True, False):
        strategy = make_strategy(name, **knobs)
        if fast:
            assert (twin_of(strategy) is None) == (knobs.get("policy") == "mrs")
        costs = CostModel(busy_machine(), model, BF16)
        try:
            found.append(
                plan(strategy, model, BF16, trace, costs=costs, predictor=predictor(kind, model), fast=fast, **more)
            )
        except InputError as error:
            found.append(str(error))
    return found


def faults(fast: Schedule | str, plain: Schedule | str) -> list[str]:
    """Where they differ."""
    if isinstance(fast, str) or isinstance(plain, str):
        return [] if fast == plain else [f"{fast} / {plain}"]
    of_ops = [name for name in vars(plain.ops) if not same(getattr(fast.ops, name), getattr(plain.ops, name))]
    return differences(fast, plain) and [*differences(fast, plain), *of_ops]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_compiled_plans_equal_plain_ones(data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(MODELS))
    name, knobs = data.draw(strategies_with_knobs)
    popularity = np.random.default_rng(data.draw(st.integers(0, 9))).integers(
        0, 9, (model.n_moe_layers, model.n_experts)
    )
    fast, plain = both(
        name,
        knobs,
        model,
        data.draw(traces(model)),
        data.draw(st.sampled_from(PREDICTORS)),
        cached=data.draw(st.integers(0, model.n_slots_total + 2)),
        batch=data.draw(st.integers(1, 3)),
        popularity=popularity,
    )
    assert not faults(fast, plain)
