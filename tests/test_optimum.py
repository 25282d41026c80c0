from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.bounds import Bounder
from sim.cost import CostModel
from sim.engine import simulate
from sim.errors import InputError
from sim.optimum import optimum
from sim.plan import plan
from sim.predict import RecallPredictor
from sim.schedule import Schedule
from sim.strategies.registry import make_strategy
from sim.strategy import Strategy
from sim.trace import RoutingTrace
from tests.listing import trace_of
from tests.machines import BF16, roofline, tiny_costs, tiny_machine, tiny_model
from tests.runs import SETTINGS, SOME_CASES, Case, lossy, planned

pytest.importorskip("ortools")

MODEL = tiny_model(n_layers=1)
tokens = st.lists(st.sets(st.integers(0, 3), min_size=2, max_size=2).map(sorted), min_size=1, max_size=3)
CASES: list[Case] = [case for case in SOME_CASES if not lossy(case) and case[0] in ("cache", "on-demand", "oracle")]


def bounder(visits: list[list[int]], **machine: object) -> Bounder:
    schedule = plan(make_strategy("on-demand"), MODEL, BF16, trace_of(*[[experts] for experts in visits]), cached=1)
    return Bounder(schedule, tiny_costs(MODEL, tiny_machine(**machine)))


def test_one_block_by_hand() -> None:
    """Experts 0 and 1, 1 s each on the GPU, 4 s on the CPU, 10 s a load; before them 1 s, beside them 1, after them 2.

    No slots: both on the CPU, 8 s. One, filled: one on the GPU beside one on the CPU. Two: the GPU does all. The bounds
    may divide an expert: of three on the GPU the CPU takes 0.6.
    """
    one = bounder([[0, 1]])
    assert [optimum(one, n, unit_s=1.0).seconds for n in range(3)] == [11.0, 7.0, 6.0]
    assert [one.bounds(n).limit_s for n in range(3)] == pytest.approx([3 + 4 * 17 / 14, 5.4, 5.4])


def test_without_a_cpu_a_load_waits_for_the_slot_that_it_fills() -> None:
    """One slot: expert 0 from the start, then 1 is loaded over it, as soon as 0 has run at 2."""
    lanes = {"gpu0": {"device": "gpu"}, "gpu0.h2d": {"device": "link"}}
    assert optimum(bounder([[0, 1]], lanes=lanes), 1, unit_s=1.0).seconds == 2 + 10 + 1 + 2


@settings(max_examples=25)
@given(tokens, st.integers(0, 3), st.sampled_from([2.0, 10.0, 25.0]), st.sampled_from([1.0, 4.0, 20.0]))
def test_between_the_bounds_and_every_strategy(visits: list[list[int]], n: int, load_s: float, cpu_s: float) -> None:
    """Where nothing is shared and dispatching is free: bound <= optimum <= whatever a strategy takes."""
    links = [
        {"direction": d, "memory": "pinned", "curve": {"x": [400], "seconds": [load_s]}, "source": "made up"}
        for d in ("h2d", "d2h")
    ]
    kinds = [roofline(kind) for kind in ("attention", "gate", "expert", "combine", "head")]
    on_cpu = roofline("expert", device="cpu", fixed_s=cpu_s)
    machine = tiny_machine(links=links, rooflines=[*kinds, on_cpu])
    costs = tiny_costs(MODEL, machine)
    trace = trace_of(*[[experts] for experts in visits])
    best: dict[int, float] = {}
    for name, knobs in CASES:
        strategy = make_strategy(name, **dict(knobs))
        schedule = _plan_or_none(strategy, trace, n, costs)
        if schedule is None:
            continue
        if schedule.n_slots not in best:
            mine = Bounder(schedule, costs)
            found = optimum(mine, schedule.n_slots, unit_s=0.5)
            assert found.proven
            assert mine.bounds(schedule.n_slots).limit_s <= found.seconds + 1e-6
            best[schedule.n_slots] = found.seconds
        makespan_s = simulate(schedule, costs.of_schedule(schedule)).makespan_s
        assert best[schedule.n_slots] <= makespan_s + 1e-6, (name, knobs)


def _plan_or_none(strategy: Strategy, trace: RoutingTrace, cached: int, costs: CostModel) -> Schedule | None:
    """None if the strategy refuses so few slots."""
    try:
        predictor = RecallPredictor(MODEL.n_moe_layers, MODEL.n_experts, recall=0.8, seed=5)
        return plan(strategy, MODEL, BF16, trace, cached=cached, predictor=predictor, costs=costs)
    except InputError:
        return None


def test_what_has_no_optimum_is_refused() -> None:
    schedule = planned(("daop", ()), SETTINGS["plain"])
    with pytest.raises(InputError, match="overlap"):
        optimum(Bounder(schedule, tiny_costs()), 1, unit_s=1.0)
