"""No strategy but the oracle reads routing before the model's router has made it known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.predict import Predictor, RecordedPredictor
from sim.predict_transitions import TransitionPredictor
from sim.schedule import Kind, Phase, Schedule
from sim.strategies.registry import make_strategy
from sim.trace import RoutingTrace
from sim.workload import steps
from tests.equality import same
from tests.runs import CACHES, CASES, ORACLES, SETTINGS, Case, Setting, name_of, planned

HONEST = [case for case in CASES if case not in ORACLES]


def told_of_the_next_block(case: Case) -> bool:
    """Whether a strategy has a channel to the next block's routing, which it states."""
    name, knobs = case[0], dict(case[1])
    return name == "pre-gated" or bool(knobs.get("speculative") or (name == "cache" and knobs.get("prefetch")))


PREDICTING = [case for case in HONEST if told_of_the_next_block(case)]
SIDA = [case for case in HONEST if case[0] == "sida"]
DAOP = [case for case in HONEST if case[0] == "daop"]


def rerouted(trace: RoutingTrace, setting: Setting, step: int, moe: int) -> RoutingTrace:
    """The same trace up to block `moe` of `step`; from there on, every token goes to the next expert."""
    ids = trace.ids.copy()
    for number, later in enumerate(steps(trace, setting.batch)):
        first = moe if number == step else 0
        if number >= step:
            part = ids[later.token_rows, first:]
            ids[later.token_rows, first:] = np.where(part == trace.missing, part, (part + 1) % trace.n_experts)
    return replace(trace, ids=ids)


def agreed_ops(a: Schedule, b: Schedule) -> int:
    """Number of ops up to the first that differs."""
    n = min(len(a), len(b))
    return next((i for i in range(n) if not same(a.ops[i : i + 1], b.ops[i : i + 1])), n)


def wait_for_gate(schedule: Schedule, step: int, block: int) -> int:
    """The op with which the host learns the routing of a block; the router itself where the host does not wait."""
    ops = schedule.ops
    gate = np.flatnonzero((ops.kind == Kind.GATE) & (ops.step == step) & (ops.layer == block))[0]
    waits = np.flatnonzero(ops.kind == Kind.WAIT)
    return next((int(i) for i in waits if gate in ops.dependencies(int(i))), int(gate))


def told_by_table(case: Case, schedule: Schedule, step: int, block: int) -> int:
    """The first op that may depend on SiDA's table of a pass: requests wait in a queue and are read one batch ahead.

    The table is first used for the same block of the batch before, when that is done. A decoded token is in no queue:
    its table is waited for. In the code's steps, tables reach to the end of the next one.
    """
    ops, passes = schedule.ops, schedule.steps
    if dict(case[1]).get("variant") == "code":
        return passes[max(0, step - make_strategy(case[0], **dict(case[1])).lookahead)].first_op
    if step and passes[step].phase == Phase.PREFILL:
        return int(np.flatnonzero((ops.kind == Kind.COMBINE) & (ops.step == step - 1) & (ops.layer == block))[0]) + 1
    return int(np.flatnonzero((ops.kind == Kind.WAIT) & (ops.step == step))[0]) + 1


def must_agree(case: Case, schedule: Schedule, setting: Setting, step: int, moe: int) -> int:
    """The number of ops that must not depend on the routing of block `moe` in `step` and later.

    A next-layer predictor may know of block `moe` once the block before it has been routed: its stated channel.
    """
    if case[0] == "sida":
        return told_by_table(case, schedule, step, setting.model.moe_layers[moe])
    told_early = case in PREDICTING and moe > 0
    return wait_for_gate(schedule, step, setting.model.moe_layers[moe - told_early]) + 1


@pytest.mark.parametrize("setting", ["plain", "batch", "dense first, shared expert", "missing ids"])
@pytest.mark.parametrize(("step", "moe"), [(0, 0), (1, 1), (3, 0), (4, 1)])
def test_schedules_agree_up_to_the_routing_in_which_their_traces_differ(setting: str, step: int, moe: int) -> None:
    where = SETTINGS[setting]
    trace = where.trace()
    other = rerouted(trace, where, step, moe)
    read_ahead = {}
    sampled = CACHES[:: 3 if setting == "batch" else 5]
    for case in (case for case in HONEST if case in sampled or case not in CACHES):
        a, b = planned(case, where, trace), planned(case, where, other)
        agreed = agreed_ops(a, b)
        if agreed < must_agree(case, a, where, step, moe):
            read_ahead[name_of(case)] = agreed
    assert not read_ahead


def test_prefetching_reads_the_next_layer_through_its_predictor_and_no_further() -> None:
    """The bound above is tight: what is predicted of the next block does show before its router has run."""
    where = SETTINGS["plain"]
    trace = where.trace()
    other = rerouted(trace, where, step=1, moe=1)
    early = []
    for case in PREDICTING:
        a, b = planned(case, where, trace), planned(case, where, other)
        early.append(agreed_ops(a, b) <= wait_for_gate(a, 1, where.model.moe_layers[1]))
    assert any(early)


def honest_predictors(where: Setting) -> list[tuple[Predictor, str]]:
    """Predictors that are shown no truth, and a strategy that each cannot serve."""
    training = replace(where, seed=9).trace()
    return [(TransitionPredictor(training), ""), (RecordedPredictor(where.model.n_experts), "sida")]


def with_record(trace: RoutingTrace, seed: int) -> RoutingTrace:
    """The trace with predictions one layer ahead, drawn independently of its routing."""
    rng = np.random.default_rng(seed)
    return replace(trace, predicted=rng.permuted(np.roll(trace.ids, 7, axis=0), axis=0)[:, None])


@pytest.mark.parametrize(("step", "moe"), [(1, 1), (3, 0), (4, 1)])
def test_predictors_that_are_shown_no_truth_read_no_further_than_the_routers(step: int, moe: int) -> None:
    """Then a block's routing shows only after its own router, also in strategies that predict; without one, never."""
    where = SETTINGS["batch"]
    trace = with_record(where.trace(), seed=3)
    other = rerouted(trace, where, step, moe)
    early = {}
    for predictor, but in honest_predictors(where):
        for case in (case for case in PREDICTING + SIDA + DAOP if case[0] not in ("pre-gated", but)):
            a, b = (planned(case, where, each, predictor=predictor) for each in (trace, other))
            routers_say = wait_for_gate(a, step, where.model.moe_layers[moe]) + 1 if case not in SIDA else len(a)
            if (agreed := agreed_ops(a, b)) < routers_say:
                early[name_of(case), type(predictor).__name__] = agreed
    assert not early


@pytest.mark.parametrize(("step", "moe"), [(1, 1), (4, 1)])
def test_a_recorded_prediction_shows_when_the_block_that_it_was_made_at_has_been_routed(step: int, moe: int) -> None:
    where = SETTINGS["plain"]
    one, two = (with_record(where.trace(), seed) for seed in (3, 4))
    rows = {number: each.token_rows for number, each in enumerate(steps(one, where.batch))}[step]
    assert one.predicted is not None
    assert two.predicted is not None
    mixed = one.predicted.copy()
    mixed[rows[0] :, :, moe] = two.predicted[rows[0] :, :, moe]
    predictor, shown = RecordedPredictor(where.model.n_experts), 0
    for case in (case for case in PREDICTING if case[0] != "pre-gated"):
        a, b = (planned(case, where, each, predictor=predictor) for each in (one, replace(one, predicted=mixed)))
        agreed = agreed_ops(a, b)
        assert agreed >= wait_for_gate(a, step, where.model.moe_layers[moe - 1]) + 1, name_of(case)
        shown += agreed < min(len(a), len(b))
    assert shown


def test_the_oracle_reads_the_future() -> None:
    where = SETTINGS["batch"]
    trace = where.trace()
    other = rerouted(trace, where, step=3, moe=0)
    a, b = planned(ORACLES[0], where, trace), planned(ORACLES[0], where, other)
    assert agreed_ops(a, b) < wait_for_gate(a, 3, 0)
