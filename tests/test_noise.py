"""Drawn prices are those of the drawn machine, and what rests on one measurement errs together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import origins
from sim.cost import CostModel, Priced
from sim.machine import Machine
from sim.noise import deviation, drawn_machine, names_of, normals, perturbed, spread_of
from sim.schedule import Kind
from tests.machines import BF16, busy_machine, link, roofline, stack
from tests.runs import PLAIN, SETTINGS, planned

SCHEDULE = planned(("fiddler", (("cpu_below", 2),)), SETTINGS["batch"])
SPREADS = st.fixed_dictionaries(
    {name: st.floats(0, 0.8) for name in ("gpu", "cpu", "link", "dispatch", "sync", "dram", "drift")}
)


def uncertain(spread: dict[str, float]) -> Machine:
    """The busy machine, of which no number is quite known; host memory rests on what the CPU reads."""
    lines = [roofline(kind, spread=spread["gpu"]) for kind in ("attention", "gate", "expert", "combine", "head")]
    cpu = roofline("expert", device="cpu", flop_per_s=100.0, fixed_s=0.0, spread=spread["cpu"])
    curve = {"x": [40, 400], "seconds": [1, 10], "spread": [spread["link"]] * 2}
    fields = busy_machine().model_dump() | {
        "rooflines": [*lines, cpu],
        "links": [link(direction, traffic={"dram": 2.0}, curve=curve) for direction in ("h2d", "d2h")],
        "capacities": {"dram": 1000.0, "cores": 2.0},  # so that no demand has to be cut to what there is
        "capacity_spread": {"dram": {"cpu flop": spread["cpu"], "dram shared": spread["dram"]}},
        "drift": {"gpu": spread["drift"], "link": 2 * spread["drift"]},
        "stacks": {
            "plain": stack(
                dispatch_s={"default": 0.125, "load": 0.25}, sync_s=0.0625, handoff_s={"cpu": 0.5},
                spread={"dispatch": spread["dispatch"], "sync": spread["sync"], "handoff": 0.3},
            )
        },
    }  # fmt: skip
    return Machine.parse(fields, "toy.json")


def priced(machine: Machine) -> Priced:
    return CostModel(machine, PLAIN, BF16).price(SCHEDULE.ops, SCHEDULE.lanes, SCHEDULE.classes)


@given(SPREADS, st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_drawn_prices_are_the_prices_on_the_drawn_machine(spread: dict[str, float], seed: int) -> None:
    machine = uncertain(spread)
    for z in normals(origins.of_machine(machine), 3, seed):
        drawn, there = perturbed(priced(machine), z), priced(drawn_machine(machine, z)).costs()
        for name in ("duration_s", "dispatch_s", "handoff_s", "demand", "capacities"):
            np.testing.assert_allclose(getattr(drawn, name), getattr(there, name), rtol=1e-9, err_msg=name)


def test_without_spreads_nothing_is_drawn() -> None:
    exact = priced(busy_machine())
    drawn = perturbed(exact, normals(names_of(exact), 1)[0])
    assert (drawn.duration_s == exact.costs().duration_s).all()
    assert (drawn.demand == exact.costs().demand).all()
    assert drawn.capacities == exact.capacities


def test_a_spread_is_the_interquartile_range_over_the_median_of_the_seconds_drawn() -> None:
    exact = replace(priced(busy_machine()), spread=np.full(len(SCHEDULE.classes), 0.1))
    drawn = np.array([perturbed(exact, z).duration_s for z in normals(names_of(exact), 4000)])
    low, middle, high = np.quantile(drawn[:, SCHEDULE.ops.kind == Kind.EXPERT], (0.25, 0.5, 0.75), axis=0)
    assert middle == pytest.approx(exact.costs().duration_s[SCHEDULE.ops.kind == Kind.EXPERT], rel=0.002)
    assert (high - low) / middle == pytest.approx(np.full(len(middle), 0.1), rel=0.01)


def test_ops_of_one_origin_err_together_and_others_by_themselves() -> None:
    exact = replace(priced(busy_machine()), spread=np.full(len(SCHEDULE.classes), 0.1))
    draws = normals(names_of(exact), 300)
    logs = np.log([perturbed(exact, z).duration_s / exact.costs().duration_s for z in draws])
    kind, lane = SCHEDULE.ops.kind, SCHEDULE.ops.lane
    loads, sends = logs[:, kind == Kind.LOAD], logs[:, kind == Kind.SEND]
    experts = logs[:, (kind == Kind.EXPERT) & (lane == SCHEDULE.lane_index["cpu"])]
    assert np.ptp(loads, axis=1).max() < 1e-12
    assert np.corrcoef(loads[:, 0], sends[:, 0])[0, 1] == pytest.approx(1)  # one figure of the datasheet is behind both
    assert abs(np.corrcoef(loads[:, 0], experts[:, 0])[0, 1]) < 0.2


def test_drift_is_the_part_of_the_spreads_that_all_ops_share() -> None:
    n = len(SCHEDULE.classes)
    exact = replace(priced(busy_machine()), spread=np.full(n, 0.3), drift=np.full(n, 0.2))
    logs = np.log([perturbed(exact, z).duration_s / exact.costs().duration_s for z in normals(names_of(exact), 2000)])
    loads, experts = (logs[:, np.flatnonzero(SCHEDULE.ops.kind == kind)[0]] for kind in (Kind.LOAD, Kind.EXPERT))
    assert loads.std() == pytest.approx(float(deviation(0.3)), rel=0.01)  # in all it is what it was
    shared = (float(deviation(0.2)) / float(deviation(0.3))) ** 2
    assert np.corrcoef(loads, experts)[0, 1] == pytest.approx(shared, abs=0.05)
    sure = replace(exact, spread=np.zeros(n))  # what was steadier than the memory has drifted with it all the same
    spread_out = np.log([perturbed(sure, z).duration_s[0] for z in normals(names_of(sure), 2000)])
    assert spread_out.std() == pytest.approx(float(deviation(0.2)), rel=0.01)


def test_the_numbers_of_an_origin_hang_on_nothing_but_its_name_the_draws_and_the_seed() -> None:
    few, many = normals(["a", "b"], 50, 7), normals(["c", "b", "a"], 50, 7)
    assert [z["a"] for z in few] == [z["a"] for z in many]
    assert [z["a"] for z in few] != [z["a"] for z in normals(["a"], 50, 8)]
    assert [z["a"] for z in few] != [z["b"] for z in few]
    assert np.std([z["a"] for z in few]) == pytest.approx(1, abs=0.05)
    assert sorted(z["a"] for z in few)[37] * 2 == pytest.approx(1.349, rel=0.02)  # the third quartile of 50


@pytest.mark.parametrize("spread", [0.0, 0.1, 1.3, 1e4])
def test_the_quartiles_of_a_log_normal_lie_its_spread_apart(spread: float) -> None:
    sigma = float(deviation(spread))
    upper, lower = np.exp(sigma * 0.67449), np.exp(-sigma * 0.67449)
    assert upper - lower == pytest.approx(spread)
    assert spread_of(sigma) == pytest.approx(spread)
