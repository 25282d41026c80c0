from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import ScheduleError
from sim.metrics import moved_bytes
from sim.model import MoEModel
from sim.plan import plan
from sim.schedule import Kind, Reason
from sim.slots import Key
from sim.strategies.registry import make_strategy
from sim.strategy import World
from sim.trace import RoutingTrace
from tests.hand_work import experts_on, loaded, ops_where, plan_tiny
from tests.listing import lines, listing, trace_of
from tests.machines import BF16, tiny_model
from tests.traces import random_trace


def test_an_expert_is_loaded_as_soon_as_the_one_that_leaves_is_done() -> None:
    """Two slots start with 0/0 and 1/0; 0/1 comes for 0/0, never needed again, while block 1 is still to run."""
    trace = trace_of([[0], [0]], [[1], [0]])
    assert listing(plan_tiny("oracle", trace, 1)) == lines("""
        0 attention gpu0 0 1t
        1 gate gpu0 0 1t after 0
        2 wait host after 1
        3 expert gpu0 0/0 hit slot0 1t after 1
        4 load gpu0.h2d 0/1 prefetch slot0 400B after 3
        5 combine gpu0 0 1t after 3
        6 attention gpu0 1 1t after 5
        7 gate gpu0 1 1t after 6
        8 wait host after 7
        9 expert gpu0 1/0 hit slot1 1t after 7
        10 combine gpu0 1 1t after 9
        11 head gpu0 1 1t after 10
        12 wait host after 11
        13 attention gpu0 0 1t after 11
        14 gate gpu0 0 1t after 13
        15 wait host after 14
        16 expert gpu0 0/1 prefetched slot0 1t after 4 14
        17 combine gpu0 0 1t after 16
        18 attention gpu0 1 1t after 17
        19 gate gpu0 1 1t after 18
        20 wait host after 19
        21 expert gpu0 1/0 hit slot1 1t after 19
        22 combine gpu0 1 1t after 21
        23 head gpu0 1 1t after 22
        24 wait host after 23
    """)


def test_with_one_slot_every_expert_waits_for_the_one_before() -> None:
    schedule = plan_tiny("oracle", trace_of([[0, 2], [3, 1]]), 0)
    assert loaded(schedule) == [(0, 2), (1, 1), (1, 3)]
    assert experts_on(schedule, "gpu0") == [(0, "hit"), (2, "demand"), (1, "prefetched"), (3, "demand")]
    for load in ops_where(schedule, kind=Kind.LOAD):
        before = [op for op in ops_where(schedule, kind=Kind.EXPERT) if op < load][-1]
        assert before in schedule.ops.dependencies(load)


def test_an_early_load_counts_as_a_prefetch_once() -> None:
    schedule = plan_tiny("oracle", trace_of([[0], [0]], [[1], [0]], [[1], [0]]), 1)
    uses = ops_where(schedule, kind=Kind.EXPERT, layer=0)
    assert [Reason(reason).name.lower() for reason in schedule.ops.reason[uses]] == ["hit", "prefetched", "hit"]


def test_it_starts_with_what_is_needed_first() -> None:
    schedule = plan_tiny("oracle", trace_of([[2, 3], [1, 0]]), 2)
    assert schedule.start_slots == ((0, 2), (0, 3), (1, 0))


def test_the_expert_needed_latest_leaves() -> None:
    """Three slots hold 0, 1 and 2 when 3 comes: 1 is needed last."""
    trace = trace_of(*[[[expert]] for expert in (0, 1, 2, 3, 0, 2, 1)])
    schedule = plan_tiny("oracle", trace, 2, model=tiny_model(n_layers=1))
    assert loaded(schedule) == [(0, 3), (0, 1)]
    slot = schedule.ops.slot[ops_where(schedule, kind=Kind.LOAD)[0]]
    assert slot == schedule.start_slots.index((0, 1))


@pytest.mark.parametrize(("horizon", "early"), [(1, 0), (2, 1), (5, 1), (0, 1)])
def test_the_horizon_bounds_how_early(horizon: int, early: int) -> None:
    """0/0 leaves after its only use for 0/1, two blocks ahead: a whole pass, if no horizon is given."""
    trace = trace_of([[0], [0]], [[1], [1]], [[2], [2]])
    schedule = plan_tiny("oracle", trace, 1, horizon=horizon)
    routing_of_block_1 = ops_where(schedule, kind=Kind.WAIT)[1]
    loads = ops_where(schedule, kind=Kind.LOAD)
    assert len([load for load in loads if load < routing_of_block_1]) == early
    assert {Reason(reason) for reason in schedule.ops.reason[loads]} == {Reason.PREFETCH}


def fewest_loads(batches: list[list[Key]], n_slots: int) -> int:
    """The fewest loads of any strategy, by trying all: keep any `n_slots` of the residents and the newcomers."""
    everyone = list(dict.fromkeys(key for batch in batches for key in batch))

    @cache
    def least(position: int, resident: frozenset[Key]) -> int:
        if position == len(batches):
            return 0
        misses = frozenset(batches[position]) - resident
        candidates = sorted(resident | misses)
        return len(misses) + min(least(position + 1, kept) for kept in _subsets(candidates, n_slots))

    return min(least(0, start) for start in _subsets(everyone, n_slots))


def _subsets(keys: list[Key], size: int) -> list[frozenset[Key]]:
    if len(keys) <= size:
        return [frozenset(keys)]
    if not size:
        return [frozenset()]
    rest = keys[1:]
    return [kept | {keys[0]} for kept in _subsets(rest, size - 1)] + _subsets(rest, size)


routings = st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2, unique=True), min_size=1, max_size=8)


@settings(deadline=None)
@given(routings, st.integers(0, 3))
def test_no_strategy_at_all_loads_less_with_the_same_cache_and_a_placeholder(
    routing: list[list[int]], cached: int
) -> None:
    trace = trace_of(*[[experts] for experts in routing])
    schedule = plan_tiny("oracle", trace, cached, model=tiny_model(n_layers=1))
    batches = [[(0, expert) for expert in experts] for experts in routing]
    assert len(loaded(schedule)) <= fewest_loads(batches, cached)


def link_bytes(name: str, model: MoEModel, trace: RoutingTrace, cached: int, batch: int, **knobs: object) -> int:
    popularity = trace.popularity()
    schedule = plan(make_strategy(name, **knobs), model, BF16, trace, cached=cached, batch=batch, popularity=popularity)
    return moved_bytes(schedule, Kind.LOAD)


@pytest.mark.parametrize("seed", range(12))
def test_no_cache_of_the_same_size_moves_fewer_bytes(seed: int) -> None:
    """Even one that starts with the experts that will turn out to be the most popular."""
    rng = np.random.default_rng(seed)
    model = tiny_model(n_layers=int(rng.integers(1, 4)), n_experts=6, top_k=int(rng.integers(1, 4)))
    trace = random_trace([(0, 12), (5, 8), (3, 6)], model.n_moe_layers, 6, model.top_k, seed)
    batch, cached = int(rng.integers(1, 4)), int(rng.integers(0, model.n_slots_total))
    others = [
        link_bytes("cache", model, trace, cached, batch, policy=policy, scope=scope)
        for policy in ("lru", "lfu", "fifo")
        for scope in ("layer", "global")
    ]
    others.append(link_bytes("on-demand", model, trace, cached, batch))
    for horizon in (0, 1, 1000):
        assert link_bytes("oracle", model, trace, cached, batch, horizon=horizon) <= min(others)


def test_without_the_future_it_refuses() -> None:
    world = World(tiny_model(), BF16, n_slots=2, popularity=np.ones((2, 4), np.int64))
    with pytest.raises(ScheduleError, match="needs the future"):
        make_strategy("oracle").start(world)
