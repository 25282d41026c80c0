"""No strategy but the oracle reads routing before the model's router has made it known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.schedule import Kind, Schedule
from sim.trace import RoutingTrace
from sim.workload import steps
from tests.equality import same
from tests.runs import CASES, ORACLES, SETTINGS, Case, Setting, name_of, planned

HONEST = [case for case in CASES if case not in ORACLES]
PREDICTING = [case for case in HONEST if dict(case[1]).get("prefetch") and case[0] == "cache"]


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
    """The op with which the host learns the routing of a block."""
    ops = schedule.ops
    gate = np.flatnonzero((ops.kind == Kind.GATE) & (ops.step == step) & (ops.layer == block))[0]
    return next(int(i) for i in np.flatnonzero(ops.kind == Kind.WAIT) if gate in ops.dependencies(int(i)))


def must_agree(case: Case, schedule: Schedule, setting: Setting, step: int, moe: int) -> int:
    """The number of ops that must not depend on the routing of block `moe` in `step` and later.

    A next-layer predictor may know of block `moe` once the block before it has been routed: its stated channel.
    """
    told_early = case in PREDICTING and moe > 0
    return wait_for_gate(schedule, step, setting.model.moe_layers[moe - told_early]) + 1


@pytest.mark.parametrize("setting", ["plain", "batch", "dense first, shared expert", "missing ids"])
@pytest.mark.parametrize(("step", "moe"), [(0, 0), (1, 1), (3, 0), (4, 1)])
def test_schedules_agree_up_to_the_routing_in_which_their_traces_differ(setting: str, step: int, moe: int) -> None:
    where = SETTINGS[setting]
    trace = where.trace()
    other = rerouted(trace, where, step, moe)
    read_ahead = {}
    for case in HONEST[:: 3 if setting == "batch" else 5]:
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


def test_the_oracle_reads_the_future() -> None:
    where = SETTINGS["batch"]
    trace = where.trace()
    other = rerouted(trace, where, step=3, moe=0)
    a, b = planned(ORACLES[0], where, trace), planned(ORACLES[0], where, other)
    assert agreed_ops(a, b) < wait_for_gate(a, 3, 0)
