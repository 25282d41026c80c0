from __future__ import annotations

import pytest
from hypothesis import given, settings

from sim.bounds import Bounder
from sim.cost import CostModel
from sim.gap import Gap, gap
from sim.plan import plan
from sim.program import Program, default_lanes
from sim.retime import retime
from sim.schedule import Phase, Reason, Schedule
from sim.strategies.registry import make_strategy
from sim.timeline import Timeline
from tests.listing import trace_of
from tests.machines import BF16, busy_machine, stack, tiny_costs, tiny_machine, tiny_model
from tests.runs import SETTINGS, planned
from tests.test_bounds import Scenario, plan_of, scenarios


def split(schedule: Schedule, costs: CostModel) -> tuple[Gap, Timeline]:
    timeline = retime(schedule, costs.of_schedule(schedule))
    bounder = Bounder(schedule, costs)
    return gap(timeline, bounder, bounder.bounds(schedule.n_slots)), timeline


@settings(max_examples=40)
@given(scenarios())
def test_the_parts_sum_to_the_makespan_and_none_is_negative(scenario: Scenario) -> None:
    schedule = plan_of(scenario)
    if schedule is None:
        return
    found, timeline = split(schedule, CostModel(scenario.machine, schedule.model, schedule.precisions))
    assert min(found.parts.values()) >= 0.0
    assert found.limit_s + sum(found.parts.values()) == pytest.approx(timeline.makespan_s, rel=1e-9)


def test_a_host_that_takes_no_time_has_no_part() -> None:
    trace = trace_of([[0, 1], [2, 3]], [[0, 2], [1, 3]])
    schedule = plan(make_strategy("on-demand"), tiny_model(), BF16, trace, cached=3)
    quick, _ = split(schedule, tiny_costs())
    slow, _ = split(
        schedule, tiny_costs(machine=tiny_machine(stacks={"plain": stack(dispatch_s={"default": 1.0}, sync_s=0.0)}))
    )
    assert quick.dispatch_s == 0.0
    assert slow.dispatch_s > 0.0
    assert (slow.limit_s, slow.policy_s, slow.prediction_s) == (quick.limit_s, quick.policy_s, quick.prediction_s)


def test_one_wrong_guess_is_a_matter_of_prediction_where_the_link_binds() -> None:
    """No CPU, ten loads' worth of link: on demand loads 10 s each; a wasted prefetch takes the link 10 s more."""
    model = tiny_model(n_layers=1)
    machine = tiny_machine(lanes={"gpu0": {"device": "gpu"}, "gpu0.h2d": {"device": "link"}})
    p = Program(model, BF16, default_lanes(), n_slots=2)
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    p.attention(0)
    gate = p.gate(0)
    p.load(0, 3, reason=Reason.PREFETCH)
    p.load(0, 0)
    p.combine(0, [p.expert(0, 0, 1, after=[gate])])
    p.wait(p.head())
    found, timeline = split(p.schedule(), tiny_costs(model, machine))
    assert timeline.makespan_s == 23.0  # two loads, expert, combination, head
    assert found == Gap(limit_s=5.0, policy_s=5.0, prediction_s=10.0, overlap_s=3.0, dispatch_s=0.0)


def test_what_asks_the_clock_is_split_along_its_path() -> None:
    schedule = planned(("moe-infinity", ()), SETTINGS["batch"])
    assert not schedule.clock_free
    found, timeline = split(schedule, tiny_costs(machine=busy_machine()))
    assert 0.0 < found.dispatch_s < timeline.makespan_s
