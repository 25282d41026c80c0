"""Ranges hold what they say they hold, and are no wider or narrower than the spreads behind them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sim import origins
from sim.cost import CostModel, Priced
from sim.engine import simulate
from sim.intervals import Range, drawn_speeds, range_of, ranges
from sim.machine import Machine
from sim.metrics import summarise
from sim.noise import deviation, drawn_machine, names_of, normals
from sim.schedule import Schedule
from tests.machines import BF16, busy_machine, link, roofline, stack, tiny_machine
from tests.runs import PLAIN, SETTINGS, planned

SPREAD = 0.3
MEASURED = 150


@cache
def schedule() -> Schedule:
    return planned(("fiddler", (("cpu_below", 2),)), SETTINGS["batch"])


def machine(spread: float = SPREAD) -> Machine:
    """GPU, CPU, link, dispatch and memory all matter, and none of their speeds is quite known."""
    lines = [roofline(kind, spread=spread) for kind in ("attention", "gate", "expert", "combine", "head")]
    cpu = roofline("expert", device="cpu", flop_per_s=400.0, fixed_s=0.0, spread=spread)
    curve = {"x": [40, 400], "seconds": [0.5, 5], "spread": [spread] * 2}
    fields = busy_machine().model_dump() | {
        "rooflines": [*lines, cpu],
        "links": [link(direction, traffic={"dram": 2.0}, curve=curve) for direction in ("h2d", "d2h")],
        "capacity_spread": {"dram": {"cpu flop": spread, "dram shared": spread}},
        "stacks": {
            "plain": stack(dispatch_s={"default": 0.5}, sync_s=0.5, spread={"dispatch": spread, "sync": spread})
        },
    }
    return Machine.parse(fields, "toy.json")


def priced(machine: Machine) -> Priced:
    return CostModel(machine, PLAIN, BF16).price(schedule().ops, schedule().lanes, schedule().classes)


def measured() -> list[dict[str, float]]:
    """What the schedule would take on computers of which the machine file tells all but what its spreads say."""
    dice, found = np.random.default_rng(3), []
    for _ in range(MEASURED):
        z = {name: float(dice.standard_normal()) for name in origins.of_machine(machine())}
        costs = CostModel(drawn_machine(machine(), z), PLAIN, BF16).of_schedule(schedule())
        found.append(summarise(simulate(schedule(), costs)).to_dict())
    return found


def test_ranges_hold_nine_measurements_in_ten() -> None:
    truths = measured()
    expected, doubted = ranges(schedule(), priced(machine())), ranges(schedule(), priced(machine(SPREAD / 2)))
    assert len(expected) == 6
    for name, (low, high) in expected.items():
        inside = np.mean([low <= each[name] <= high for each in truths])
        assert 0.84 <= inside <= 0.96, name  # 2.5 standard deviations of as many tosses
        too_sure = np.mean([doubted[name].low <= each[name] <= doubted[name].high for each in truths])
        assert too_sure < 0.75, name  # so that the test would notice


def test_a_run_that_rests_on_one_measurement_is_as_uncertain_as_that() -> None:
    exact = CostModel(tiny_machine(), PLAIN, BF16).price(schedule().ops, schedule().lanes, schedule().classes)
    all_one = replace(
        exact, origin=np.zeros_like(exact.origin), origins=("all",), spread=np.full(len(schedule().classes), 0.2)
    )
    makespan = simulate(schedule(), exact.costs()).makespan_s
    found = ranges(schedule(), all_one, draws=400, level=0.9)["makespan_s"]
    assert found.low == pytest.approx(makespan * np.exp(-1.645 * deviation(0.2)), rel=0.01)
    assert found.high == pytest.approx(makespan * np.exp(1.645 * deviation(0.2)), rel=0.01)


def test_without_spreads_a_range_is_the_figure_itself() -> None:
    summary = summarise(simulate(schedule(), priced(machine(0.0)).costs())).to_dict()
    for name, (low, high) in ranges(schedule(), priced(machine(0.0)), draws=3).items():
        assert low == pytest.approx(high, rel=1e-12)
        assert low == pytest.approx(summary[name], rel=1e-12)


def test_wider_spreads_and_higher_levels_give_wider_ranges_and_equal_arguments_equal_ones() -> None:
    narrow, wide = (ranges(schedule(), priced(machine(spread)), draws=60) for spread in (0.1, 0.3))
    sure = ranges(schedule(), priced(machine(0.3)), draws=60, level=0.98)
    for name, (low, high) in narrow.items():
        assert sure[name].low < wide[name].low < low < high < wide[name].high < sure[name].high
    assert ranges(schedule(), priced(machine(0.3)), draws=60) == wide
    assert ranges(schedule(), priced(machine(0.3)), draws=60, seed=1) != wide


def test_a_schedule_made_by_the_clock_has_no_range_by_retiming() -> None:
    assert ranges(replace(schedule(), clock_free=False), priced(machine())) == {}


def test_figures_that_a_run_does_not_have_have_no_range() -> None:
    first_pass = planned(("on-demand", ()), replace(SETTINGS["plain"], sequences=((4, 0),)))
    exact = CostModel(machine(), PLAIN, BF16).price(first_pass.ops, first_pass.lanes, first_pass.classes)
    assert ranges(first_pass, exact, draws=3).keys() == {"ttft_s", "tokens_per_s", "makespan_s"}


def test_the_same_draw_is_the_same_computer_for_two_strategies() -> None:
    other = planned(("on-demand", ()), SETTINGS["batch"])
    draws = normals(origins.of_machine(machine()), 50)
    first = drawn_speeds(schedule(), priced(machine()), draws)["makespan_s"]
    exact = CostModel(machine(), PLAIN, BF16).price(other.ops, other.lanes, other.classes)
    second = drawn_speeds(other, exact, draws)["makespan_s"]
    assert np.corrcoef(first, second)[0, 1] > 0.8
    assert set(names_of(exact)) <= {*draws[0]}


def test_few_draws_stand_for_a_log_normal_and_many_for_themselves() -> None:
    dice = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        drawn = np.exp(dice.normal(1.0, 0.3, 9))
        low, high = range_of(drawn[:8], 0.9)
        inside += low <= drawn[8] <= high
    assert inside / 400 == pytest.approx(0.9, abs=0.045)
    assert range_of(np.linspace(1, 2, 101), 0.9) == pytest.approx(Range(1.05, 1.95))
