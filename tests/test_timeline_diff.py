from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.cost import costs_of
from sim.engine import simulate
from sim.errors import InputError
from sim.schedule import Kind
from sim.timeline import Timeline
from sim.timeline_diff import align, difference
from tests.machines import busy_machine
from tests.runs import SETTINGS, SOME_CASES, name_of, planned, run

SETTING = "batch"
BASE = ("on-demand", ())


def key(timeline: Timeline, op: int) -> tuple[int, ...]:
    ops = timeline.schedule.ops
    return tuple(int(column[op]) for column in (ops.step, ops.layer, ops.kind, ops.expert))


def test_alignment_pairs_ops_that_do_the_same_and_leaves_out_no_other() -> None:
    a = run(BASE, SETTING)
    for case in SOME_CASES:
        b = run(case, SETTING)
        pairs = align(a.schedule.ops, b.schedule.ops)
        assert [key(a, op) for op in pairs.a.tolist()] == [key(b, op) for op in pairs.b.tolist()]
        for timeline, mine, only in ((a, pairs.a, pairs.only_a), (b, pairs.b, pairs.only_b)):
            assert sorted([*mine.tolist(), *only.tolist()]) == list(range(len(timeline.schedule)))
        left = {key(a, op) for op in pairs.only_a.tolist()} & {key(b, op) for op in pairs.only_b.tolist()}
        assert not left, name_of(case)


def test_changes_of_the_paths_sum_to_that_of_the_makespan() -> None:
    a = run(BASE, SETTING)
    for case in SOME_CASES:
        found = difference(a, run(case, SETTING))
        change = sum(b_s - a_s for a_s, b_s in found.causes.values())
        assert change == pytest.approx(found.b_s - found.a_s, abs=1e-9), name_of(case)


def test_the_same_schedule_on_a_slower_link_differs_in_its_loads() -> None:
    schedule = planned(BASE, SETTINGS[SETTING])
    costs = costs_of(schedule, busy_machine())
    load = schedule.ops.kind == Kind.LOAD
    slower = replace(costs, duration_s=np.where(load, 2 * costs.duration_s, costs.duration_s))
    found = difference(simulate(schedule, costs), simulate(schedule, slower))
    assert (len(found.alignment.only_a), len(found.alignment.only_b), found.reasons) == (0, 0, {})
    assert (found.kinds[0].kind, found.kinds[0].lane) == ("load", "gpu0.h2d")
    assert found.kinds[0].count_a == found.kinds[0].count_b == load.sum()
    assert next(iter(found.causes)) == "demand loads"
    assert found.step_s.sum() == pytest.approx(found.b_s - found.a_s)


def test_experts_that_change_their_reason_are_counted() -> None:
    found = difference(run(BASE, SETTING), run(("all-resident", ()), "everything cached"))
    assert set(found.reasons) <= {("stream", "hit"), ("demand", "hit")}
    assert sum(found.reasons.values()) > 0


def test_timelines_of_different_work_are_refused() -> None:
    with pytest.raises(InputError, match="different work"):
        difference(run(BASE, "batch"), run(BASE, "plain"))
