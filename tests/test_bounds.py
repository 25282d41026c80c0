from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.balance import Task, _solve, balance
from sim.bounds import Bounder, bounds
from sim.cache import FutureIndex, make_policy, replay
from sim.cost import CostModel, costs_of
from sim.engine import simulate
from sim.errors import InputError
from sim.least_loads import least_misses
from sim.machine import Machine
from sim.needs import needs
from sim.plan import plan
from sim.predict import RecallPredictor
from sim.program import CPU
from sim.schedule import Kind, Schedule
from sim.strategies.registry import make_strategy
from tests.conservation import computed, routed
from tests.listing import trace_of
from tests.machines import BF16, link, roofline, stack, tiny_costs, tiny_machine, tiny_model
from tests.runs import (
    SETTINGS,
    SOME_CASES,
    Case,
    Setting,
    lossy,
    name_of,
    planned,
    room_for,
    run,
)

_SLACK = 1 + 1e-9  # an engine adds up thousands of rounded sums
batches = st.lists(st.frozensets(st.integers(0, 4), max_size=4), max_size=9)


def uses(visits: list[frozenset[int]]) -> tuple[np.ndarray, np.ndarray]:
    """`visit` and `key` of `least_misses`."""
    pairs = [(i, key) for i, batch in enumerate(visits) for key in sorted(batch)]
    return np.array([i for i, _ in pairs], np.intp), np.array([key for _, key in pairs], np.int64)


# -- the least misses --------------------------------------------------------------------------------------


@given(batches, st.integers(0, 5))
def test_least_misses_equal_those_of_every_way_to_fill_the_slots(visits: list[frozenset[int]], n_slots: int) -> None:
    """Between two visits the slots hold any experts that were in them before, or have just been used."""
    best: dict[frozenset[int], int] = {
        frozenset(start): 0 for n in range(n_slots + 1) for start in combinations(range(5), n)
    }
    for batch in visits:
        after: dict[frozenset[int], int] = {}
        for held, misses in best.items():
            for n in range(n_slots + 1):
                for kept in map(frozenset, combinations(held | batch, n)):
                    after[kept] = min(after.get(kept, 10**9), misses + len(batch - held))
        best = after
    assert least_misses(*uses(visits), n_slots) == min(best.values())


@given(batches, st.integers(1, 5))
def test_no_replay_misses_less_than_the_least_beyond_its_empty_start(
    visits: list[frozenset[int]], n_slots: int
) -> None:
    plain = [sorted(batch) for batch in visits]
    belady = replay(make_policy("belady", n_slots, next_use=FutureIndex(plain).next_use), plain)
    assert least_misses(*uses(visits), n_slots) <= belady.misses


def test_distinct_experts_count_and_not_tokens() -> None:
    """Three tokens that all need experts 0 and 1 of each block are two uses a block."""
    trace = trace_of(*[[[0, 1], [0, 1]]] * 3, prompts=[3])
    schedule = plan(make_strategy("on-demand"), tiny_model(), BF16, trace, cached=0)
    found = bounds(schedule, tiny_costs(), n_slots=0)
    assert (found.n_uses, found.least_misses, found.link_s) == (4, 4, 40.0)
    assert bounds(schedule, tiny_costs(), n_slots=3).least_misses == 1


# -- needs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["missing ids", "dense first, shared expert", "encoder and decoder, top-1"])
def test_needs_are_what_the_trace_asks_for(setting: str) -> None:
    chosen = SETTINGS[setting]
    asked = routed(chosen.trace(), chosen.model, chosen.batch)
    of_model = set()
    for case in SOME_CASES:
        schedule = run(case, setting).schedule
        found = needs(schedule)
        blocks = list(zip(schedule.ops.step[found.op].tolist(), found.layer.tolist(), strict=True))
        experts, tokens = found.expert.tolist(), found.tokens.tolist()
        mine = {(*block, e): n for block, e, n in zip(blocks, experts, tokens, strict=True)}
        assert mine == (computed(schedule) if lossy(case) else asked), name_of(case)
        visit_of = dict(zip(blocks, found.visit.tolist(), strict=True))
        assert [visit_of[block] for block in blocks] == sorted(found.visit.tolist())
        assert len(visit_of) == len(set(visit_of.values())) <= found.n_visits
        if not lossy(case):
            of_model.add(tuple(np.bincount(schedule.ops.kind[found.model_ops], minlength=len(Kind)).tolist()))
    assert len(of_model) == 1, "all strategies need the same of the model"


# -- the linear program ------------------------------------------------------------------------------------


def test_balance_of_one_block_by_hand() -> None:
    """Two experts, 1 s each on the GPU and 4 s on the CPU, 10 s a load: 6 s of the others' work on the GPU.

    Both missing: the CPU takes x of the two, the link the rest, 4 x = 10 (2 - x). Seconds: attention, combination and
    head come before and after, the gate and the experts that are left on the GPU beside.
    """
    trace = trace_of([[0, 1]])
    model = tiny_model(n_layers=1)
    schedule = plan(make_strategy("on-demand"), model, BF16, trace, cached=0)
    found = bounds(schedule, tiny_costs(model), n_slots=0)
    x = (20 - 3) / 14  # 3 + 4 x = 10 (2 - x)
    assert found.on_cpu == pytest.approx(x)
    assert found.balance_s == found.limit_s == pytest.approx(3 + 4 * x)
    assert found.shares["compute"] == pytest.approx(10 / 14)
    assert bounds(schedule, tiny_costs(model), n_slots=2).limit_s == pytest.approx(3 + 4 * 3 / 5)  # 1 + 2 - y = 4 y
    without_cpu = tiny_machine(lanes={"gpu0": {"device": "gpu"}, "gpu0.h2d": {"device": "link"}})
    assert bounds(schedule, tiny_costs(model, without_cpu), n_slots=0).limit_s == pytest.approx(20.0)
    assert bounds(schedule, tiny_costs(model, without_cpu), n_slots=1).limit_s == pytest.approx(10.0)
    assert bounds(schedule, tiny_costs(model, without_cpu), n_slots=2).limit_s == pytest.approx(6.0)


def test_a_shared_capacity_binds_where_copies_and_cpu_draw_on_it() -> None:
    """The CPU and the link both read host memory: each of 8 uses that miss moves 400 bytes, at 100 a second at most."""
    machine = tiny_machine(
        capacities={"dram": 100.0},
        devices={"gpu": {}, "cpu": {"traffic": {"dram": 1.0}}, "link": {}, "storage": {}},
        links=[link(direction, traffic={"dram": 1.0}) for direction in ("h2d", "d2h")],
    )
    trace = trace_of([[0, 1], [0, 1]], [[2, 3], [2, 3]], prompts=[0])
    schedule = plan(make_strategy("on-demand"), tiny_model(), BF16, trace, cached=0)
    found = bounds(schedule, tiny_costs(machine=machine), n_slots=0)
    assert found.shares["dram"] == pytest.approx(1.0)
    assert found.limit_s == pytest.approx(
        8 * 400 / 100
    )  # either way, for alone an op of 4 s draws no more than there is


tasks = st.integers(0, 2**32 - 1)


@given(tasks)
def test_the_dual_certificate_is_as_high_as_the_program(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_groups, n_classes, n_caps = rng.integers(1, 5), int(rng.integers(0, 8)), int(rng.integers(0, 3))
    task = Task(
        fixed_s=float(rng.random()), count=rng.integers(1, 9, n_groups).astype(float), own_s=rng.random(n_groups),
        group=np.sort(rng.integers(0, n_groups, n_classes)), uses=rng.integers(1, 5, n_classes).astype(float),
        gpu_s=rng.random(n_classes), cpu_s=np.where(rng.random(n_classes) < 0.2, np.inf, 5 * rng.random(n_classes)),
        draw=rng.random((n_classes, n_caps)), misses=int(rng.integers(0, 9)), load_s=float(3 * rng.random()),
        load_draw=rng.random(n_caps),
    )  # fmt: skip
    found = balance(task)
    assert found.seconds == pytest.approx(float(_solve(task).fun), rel=1e-6, abs=1e-9)
    assert sum(found.shares) == pytest.approx(1.0)


# -- never exceeded ----------------------------------------------------------------------------------------


def check_holds(schedule: Schedule, machine: Machine) -> None:
    makespan_s = simulate(schedule, costs_of(schedule, machine)).makespan_s
    found = bounds(schedule, CostModel(machine, schedule.model, schedule.precisions))
    assert found.limit_s <= makespan_s * _SLACK
    assert found.compute_s <= makespan_s * _SLACK
    assert found.bandwidth_s <= makespan_s * _SLACK
    if found.serial:
        assert found.dispatch_s <= makespan_s * _SLACK
    ops = schedule.ops
    cpu = [i for i, lane in enumerate(schedule.lanes) if lane.name == CPU]
    if not ((ops.kind == Kind.EXPERT) & np.isin(ops.lane, cpu)).any():
        assert found.link_s <= makespan_s * _SLACK
    assert found.compute_s <= found.balance_s * _SLACK + 1e-12


@pytest.mark.parametrize("setting", ["batch", "encoder and decoder, top-1"])
def test_no_strategy_beats_its_bounds(setting: str) -> None:
    for case in SOME_CASES:
        check_holds(run(case, setting).schedule, tiny_machine())


@dataclass(frozen=True)
class Scenario:
    """A small question: a strategy in a setting, planned and timed on a machine of its own."""

    case: Case
    setting: Setting
    machine: Machine
    recall: float


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    speeds = st.sampled_from([0.1, 0.5, 1.0, 3.0])
    n_layers, n_experts = draw(st.integers(1, 3)), draw(st.integers(2, 6))
    model = tiny_model(
        n_layers=n_layers, n_experts=n_experts, top_k=draw(st.integers(1, min(n_experts, 3))),
        shared_hidden=draw(st.sampled_from([0, 10])), dense_hidden=10,
        moe_layers=tuple(range(draw(st.integers(0, n_layers - 1)), n_layers)),
    )  # fmt: skip
    kinds = ("attention", "gate", "expert", "combine", "head")
    shared = draw(st.booleans())
    traffic = {"dram": 1.0} if shared else {}
    machine = tiny_machine(
        capacities={"dram": 300.0 * draw(speeds)} if shared else {},
        devices={"gpu": {}, "cpu": {"traffic": traffic}, "link": {}, "storage": {}},
        links=[
            link(way, traffic=traffic, curve={"x": [40, 400], "seconds": [draw(speeds), 10 * draw(speeds)]})
            for way in ("h2d", "d2h")
        ],
        rooflines=[roofline(kind, fixed_s=draw(speeds), bytes_per_s=1000.0 * draw(speeds)) for kind in kinds]
        + [roofline("expert", device="cpu", flop_per_s=100.0 * draw(speeds), fixed_s=draw(speeds))],
        stacks={
            "plain": stack(
                dispatch_s={"default": draw(st.sampled_from([0.0, 0.125])), "load": draw(st.sampled_from([0.0, 0.5]))},
                sync_s=draw(st.sampled_from([0.0, 0.25])), handoff_s={"cpu": draw(st.sampled_from([0.0, 0.25]))},
                grouped_experts=draw(st.booleans()),
            )
        },
    )  # fmt: skip
    sequences = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(any), min_size=1, max_size=3))
    setting = Setting(
        model, batch=draw(st.integers(1, 3)), cached=draw(st.integers(0, model.n_slots_total)),
        sequences=tuple(sequences), missing=draw(st.sampled_from([0.0, 0.0, 0.3])), seed=draw(st.integers(0, 99)),
    )  # fmt: skip
    return Scenario(draw(st.sampled_from(SOME_CASES)), setting, machine, draw(st.sampled_from([0.3, 0.8, 1.0])))


def plan_of(scenario: Scenario) -> Schedule | None:
    """None if the strategy refuses the setting."""
    name, knobs = scenario.case
    model, setting = scenario.setting.model, scenario.setting
    try:
        strategy = make_strategy(name, **dict(knobs))
        return plan(
            strategy, model, BF16, setting.trace(), cached=room_for(strategy, setting), batch=setting.batch,
            predictor=RecallPredictor(model.n_moe_layers, model.n_experts, recall=scenario.recall, seed=5),
            costs=CostModel(scenario.machine, model, BF16),
        )  # fmt: skip
    except InputError:
        return None


def check_scenario(scenario: Scenario) -> None:
    schedule = plan_of(scenario)
    if schedule is not None:
        check_holds(schedule, scenario.machine)


@settings(max_examples=100)
@given(scenarios())
def test_bounds_hold_in_random_scenarios(scenario: Scenario) -> None:
    check_scenario(scenario)


@pytest.mark.long
@settings(max_examples=5000)
@given(scenarios())
def test_bounds_hold_in_thousands_of_random_scenarios(scenario: Scenario) -> None:
    check_scenario(scenario)


def test_more_slots_never_raise_a_bound() -> None:
    setting = SETTINGS["batch"]
    schedule = planned(("on-demand", ()), setting)
    bounder = Bounder(schedule, tiny_costs(setting.model))
    limits = [bounder.bounds(n).limit_s for n in range(setting.model.n_slots_total + 1)]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] > limits[-1] == pytest.approx(bounder.compute.seconds)
