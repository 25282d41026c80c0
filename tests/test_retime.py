"""The compiled engine against the reference engine and the brute-force timer."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from sim.cost import CostModel, Costs, costs_of
from sim.engine import simulate
from sim.errors import ScheduleError
from sim.retime import Retimer, retime, slow_because
from sim.schedule import Kind, Schedule
from sim.timeline import Timeline, Times
from tests.blocks import to_costs, to_lanes, to_ops
from tests.equality import same
from tests.machines import BF16, busy_machine, tiny_model
from tests.reference_timer import RefOp, time_schedule
from tests.runs import SETTINGS, planned
from tests.strategies import RandomSchedule, random_schedules

pytestmark = pytest.mark.skipif(slow_because() is not None, reason="needs Numba")
HOST, GPU, LINK = 0, 1, 2
FIFO = ["host", "fifo", "fifo"]


def scheduled(case: RandomSchedule) -> tuple[Schedule, Costs]:
    ops, lanes, capacities = case
    schedule = Schedule(to_ops(ops), tuple(to_lanes(lanes)), (), tiny_model(), BF16)
    return schedule, to_costs(ops, capacities)


def columns(times: Times) -> np.ndarray[Any, Any]:
    return np.stack([times.dispatched_s, times.start_s, times.end_s], axis=1)


@settings(max_examples=250)
@given(random_schedules(sharing=False))
def test_equals_both_others_to_the_bit_without_sharing(case: RandomSchedule) -> None:
    schedule, costs = scheduled(case)
    times = Retimer(schedule).times(costs)
    assert same(times, simulate(schedule, costs).times)
    np.testing.assert_array_equal(columns(times), time_schedule(*case))


@settings(max_examples=200)
@given(random_schedules(sharing=True))
def test_equals_both_others_with_sharing(case: RandomSchedule) -> None:
    schedule, costs = scheduled(case)
    times, reference = Retimer(schedule).times(costs), simulate(schedule, costs).times
    np.testing.assert_allclose(columns(times), columns(reference), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(times.cancelled, reference.cancelled)
    np.testing.assert_allclose(columns(times), time_schedule(*case), rtol=1e-9, atol=1e-12)


@settings(max_examples=40)
@given(random_schedules(max_ops=120, lanes=["host", "fifo", "priority", "fifo"]))
def test_longer_queues_equal_the_reference(case: RandomSchedule) -> None:
    schedule, costs = scheduled(case)
    times, reference = Retimer(schedule).times(costs), simulate(schedule, costs).times
    np.testing.assert_allclose(columns(times), columns(reference), rtol=1e-9, atol=1e-12)


@given(random_schedules(lanes=FIFO, sharing=False, cancels=False))
def test_one_pass_equals_the_events_where_nothing_is_shared_chosen_or_cancelled(case: RandomSchedule) -> None:
    schedule, costs = scheduled(case)
    retimer = Retimer(schedule)
    assert retimer.quick(costs)
    assert same(retimer.times(costs), retimer._by_events(costs, np.arange(0)))


@given(random_schedules(lanes=FIFO, sharing=True, cancels=False))
def test_a_capacity_that_lanes_cannot_exceed_together_is_as_good_as_none(case: RandomSchedule) -> None:
    schedule, costs = scheduled(case)
    roomy = replace(costs, capacities=tuple(6.5 for _ in costs.capacities))  # no lane draws more than 2
    assert Retimer(schedule).quick(roomy)
    assert same(Retimer(schedule).times(roomy), simulate(schedule, roomy).times)


def test_a_schedule_is_prepared_once_for_costs_after_costs() -> None:
    schedule = planned(("cache", (("miss", "cpu"), ("prefetch", True), ("priority", True))), SETTINGS["plain"])
    retimer, costs = Retimer(schedule), costs_of(schedule, busy_machine())
    slower = replace(costs, duration_s=costs.duration_s * np.linspace(0.5, 2.0, len(schedule)))
    for now in (costs, slower, costs):
        reference = simulate(schedule, now)
        assert same(retimer.times(now), reference.times)
        np.testing.assert_array_equal(retimer.step_ends(now), reference.step_end_s)


def test_costs_may_be_parts_of_other_arrays_and_need_no_further_compilation() -> None:
    from sim.retiming.events import advance
    from sim.retiming.fifo import time_fifo

    ops = [RefOp(LINK, 2.0, demand=(1.0,)), RefOp(GPU, 3.0, demand=(1.0,))]
    schedule, costs = scheduled((ops, FIFO, [1.0]))
    drawn = {name: np.repeat(getattr(costs, name)[:, None], 3, axis=1)[:, 1] for name in ("duration_s", "dispatch_s")}
    drawn["dispatch_s"].flags.writeable = False
    for capacities in ((1.0,), (9.0,)):
        expected = simulate(schedule, replace(costs, capacities=capacities)).times
        assert same(Retimer(schedule).times(replace(costs, **drawn, capacities=capacities)), expected)
    assert (len(advance.signatures), len(time_fifo.signatures)) == (1, 1)


def test_a_schedule_from_a_file_is_timed_alike(tmp_path: Path) -> None:
    schedule = planned(("cache", ()), SETTINGS["plain"])
    from sim.retiming.fifo import time_fifo

    schedule.save(tmp_path / "schedule")
    loaded = Schedule.load(tmp_path / "schedule")
    costs = costs_of(schedule, busy_machine())
    assert same(Retimer(loaded).times(costs), Retimer(schedule).times(costs))
    assert len(time_fifo.signatures) == 1


def test_an_op_that_waits_for_itself_is_refused_by_both_engines() -> None:
    stuck = [RefOp(GPU, 1.0), RefOp(GPU, 1.0, deps=(1,)), RefOp(HOST, 0.0, deps=(1,), is_wait=True)]
    schedule, costs = scheduled((stuck, FIFO, []))
    for engine in ("fast", "simpy"):
        with pytest.raises(ScheduleError, match="op 1 can never run: what it depends on never ends"):
            retime(schedule, costs, engine)  # type: ignore[arg-type]


def test_costs_of_another_schedule_are_refused() -> None:
    schedule, costs = scheduled(([RefOp(GPU, 1.0), RefOp(GPU, 1.0)], FIFO, []))
    with pytest.raises(ValueError, match="costs of 1 ops for a schedule of 2"):
        Retimer(schedule).times(costs[:1])


def test_no_ops_take_no_time() -> None:
    schedule, costs = scheduled(([], FIFO, []))
    for engine in ("fast", "simpy"):
        assert retime(schedule, costs, engine).makespan_s == 0.0  # type: ignore[arg-type]


def test_without_numba_the_reference_serves_and_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = planned(("cache", ()), SETTINGS["plain"])
    costs = costs_of(schedule, busy_machine())
    expected = retime(schedule, costs)
    monkeypatch.setattr("sim.compiler.find_spec", lambda name: None)
    monkeypatch.setattr("sim.retiming.fifo.time_fifo", None)
    monkeypatch.setattr("sim.retiming.events.advance", None)
    notice = slow_because()
    assert notice is not None
    assert notice.startswith("Numba is not installed: ")
    assert "\n" not in notice
    assert same(retime(schedule, costs), expected)
    np.testing.assert_array_equal(Retimer(schedule).step_ends(costs), expected.step_end_s)


def test_what_was_found_out_of_a_schedule_does_not_travel_with_it() -> None:
    schedule = planned(("cache", ()), SETTINGS["plain"])
    alone = len(pickle.dumps(schedule))
    retime(schedule, costs_of(schedule, busy_machine())).busy_s("gpu0")
    assert {"classes", "facts"} <= vars(schedule).keys()
    assert len(pickle.dumps(schedule)) == alone
    assert same(pickle.loads(pickle.dumps(schedule)), schedule)


@pytest.mark.parametrize(("case", "portable"), [("fiddler", True), ("moe-infinity", False)])
def test_only_a_portable_schedule_is_priced_for_a_machine_that_it_was_not_planned_for(
    case: str, portable: bool
) -> None:
    schedule = planned((case, ()), SETTINGS["plain"])
    other = busy_machine(name="elsewhere")
    assert schedule.portable == portable
    CostModel(busy_machine(), schedule.model, BF16).check_planned_for(schedule)
    costs = CostModel(other, schedule.model, BF16)
    if portable:
        costs.check_planned_for(schedule)
        return
    with pytest.raises(ScheduleError, match=r"was planned for toy, .* plan it again for elsewhere and its stack"):
        costs.check_planned_for(schedule)


def test_another_stack_is_another_machine() -> None:
    schedule = planned(("moe-infinity", ()), SETTINGS["plain"])
    plain = busy_machine().stacks["plain"]
    quick = plain.model_copy(update={"sync_s": 0.0})
    both = busy_machine().model_copy(update={"stacks": {"plain": plain, "quick": quick}})
    planned_for, other = (CostModel(both, schedule.model, BF16, name).identity for name in ("plain", "quick"))
    assert planned_for != other


def test_busy_seconds_are_those_of_each_lane_alone() -> None:
    schedule = planned(("fiddler", (("cpu_below", 2),)), SETTINGS["batch"])
    timeline = retime(schedule, costs_of(schedule, busy_machine()))
    ops, times = schedule.ops, timeline.times
    for number, lane in enumerate(schedule.lanes):
        mine = [i for i in range(len(ops)) if ops.lane[i] == number and ops.kind[i] != Kind.WAIT]
        seconds = sum(times.end_s[i] - times.start_s[i] for i in mine)
        dispatching = costs_of(schedule, busy_machine()).dispatch_s.sum() if number == HOST else 0.0
        assert timeline.busy_s(lane.name) == pytest.approx(seconds + dispatching)
    assert Timeline(schedule, times).dispatch_s == timeline.dispatch_s
