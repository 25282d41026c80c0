from __future__ import annotations

import numpy as np
import pytest

from sim.cache import LRU, replay
from sim.errors import InputError
from sim.metrics import hit_rate, moved_bytes, summarise
from sim.schedule import Kind, Reason
from tests.hand_work import experts_on, loaded, ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import link, tiny_machine
from tests.traces import random_trace

ONE_TOKEN = trace_of([[0, 2], [3, 1]])


def test_a_miss_takes_the_place_of_the_least_recently_used_expert_of_its_block() -> None:
    """Slots 0 to 3 start with 0/0, 1/3, 0/1 and 1/2; slot 4 is spare."""
    assert listing(plan_tiny("cache", trace_of([[0, 2], [3, 1]], [[0, 3], [3, 2]]), 4)) == lines("""
        0 attention gpu0 0 1t
        1 gate gpu0 0 1t after 0
        2 wait host after 1
        3 load gpu0.h2d 0/2 demand slot4 400B           # for 0/1, in slot 2
        4 expert gpu0 0/0 hit slot0 1t after 1
        5 expert gpu0 0/2 demand slot4 1t after 1 3
        6 combine gpu0 0 1t after 4 5
        7 attention gpu0 1 1t after 6
        8 gate gpu0 1 1t after 7
        9 wait host after 8
        10 load gpu0.h2d 1/1 demand slot2 400B          # for 1/2, in slot 3
        11 expert gpu0 1/3 hit slot1 1t after 8
        12 expert gpu0 1/1 demand slot2 1t after 8 10
        13 combine gpu0 1 1t after 11 12
        14 head gpu0 1 1t after 13
        15 wait host after 14
        16 attention gpu0 0 1t after 14
        17 gate gpu0 0 1t after 16
        18 wait host after 17
        19 load gpu0.h2d 0/3 demand slot3 400B          # for 0/2, in slot 4
        20 expert gpu0 0/0 hit slot0 1t after 17
        21 expert gpu0 0/3 demand slot3 1t after 17 19
        22 combine gpu0 0 1t after 20 21
        23 attention gpu0 1 1t after 22
        24 gate gpu0 1 1t after 23
        25 wait host after 24
        26 load gpu0.h2d 1/2 demand slot4 400B after 3 5
        27 expert gpu0 1/3 hit slot1 1t after 24
        28 expert gpu0 1/2 demand slot4 1t after 24 26
        29 combine gpu0 1 1t after 27 28
        30 head gpu0 1 1t after 29
        31 wait host after 30
    """)


@pytest.mark.parametrize(("policy", "victim"), [("lru", 0), ("lfu", 1), ("fifo", 2)])
def test_the_policy_says_who_leaves(policy: str, victim: int) -> None:
    """Block 0 starts with 2, 1, 0, as if used in this order; used are then 0, 0, 1, 2 and 2 before 3 comes."""
    trace = trace_of(*[[[expert], [3]] for expert in (0, 0, 1, 2, 2, 3)])
    schedule = plan_tiny("cache", trace, 6, policy=policy, evict="swap")
    assert schedule.ops.expert[ops_where(schedule, kind=Kind.UNLOAD)].tolist() == [victim]


@pytest.mark.parametrize(("scope", "victim"), [("layer", (0, 1)), ("global", (1, 2))])
def test_the_scope_says_from_which_block(scope: str, victim: tuple[int, int]) -> None:
    """Both caches start with 1/2, 0/1, 1/3, 0/0, least recent first."""
    schedule = plan_tiny("cache", trace_of([[0, 3], [3, 3]]), 4, scope=scope, evict="swap")
    left = ops_where(schedule, kind=Kind.UNLOAD)[0]
    assert (schedule.ops.layer[left], schedule.ops.expert[left]) == victim


def test_swapping_moves_the_victim_back_once_for_each_load() -> None:
    assert listing(plan_tiny("cache", ONE_TOKEN, 4, evict="swap")) == lines("""
        0 attention gpu0 0 1t
        1 gate gpu0 0 1t after 0
        2 wait host after 1
        3 unload gpu0.d2h 0/1 swap slot2 400B
        4 load gpu0.h2d 0/2 demand slot4 400B           # into the spare slot, beside the unload
        5 expert gpu0 0/0 hit slot0 1t after 1
        6 expert gpu0 0/2 demand slot4 1t after 1 4
        7 combine gpu0 0 1t after 5 6
        8 attention gpu0 1 1t after 7
        9 gate gpu0 1 1t after 8
        10 wait host after 9
        11 unload gpu0.d2h 1/2 swap slot3 400B
        12 load gpu0.h2d 1/1 demand slot2 400B after 3  # slot 2 is free when 0/1 has left it
        13 expert gpu0 1/3 hit slot1 1t after 9
        14 expert gpu0 1/1 demand slot2 1t after 9 12
        15 combine gpu0 1 1t after 13 14
        16 head gpu0 1 1t after 15
        17 wait host after 16
    """)


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_swap_issues_one_unload_and_one_load_a_miss_and_drop_no_unload(scope: str) -> None:
    trace = random_trace([(0, 12)], 2, 4, 2)
    swap, drop = (plan_tiny("cache", trace, 4, scope=scope, evict=evict) for evict in ("swap", "drop"))
    misses = len(ops_where(swap, kind=Kind.EXPERT, reason=Reason.DEMAND))
    assert misses > 5
    assert len(ops_where(swap, kind=Kind.LOAD)) == len(ops_where(swap, kind=Kind.UNLOAD)) == misses
    assert ops_where(drop, kind=Kind.UNLOAD) == []
    assert loaded(swap) == loaded(drop)


def test_spare_buffers_let_loads_go_ahead_of_slower_unloads() -> None:
    machine = tiny_machine(links=[link("h2d"), link("d2h", curve={"x": [400], "seconds": [30]})])
    trace = trace_of([[2, 3], [0, 1]])  # two misses a block
    timelines = [timed(plan_tiny("cache", trace, 4, evict="swap", spare=n), machine) for n in (0, 1, 2)]
    first, second, third = (timeline.step_end_s[0] for timeline in timelines)
    assert first > second > third


def test_experts_computed_on_the_cpu_are_never_loaded() -> None:
    schedule = plan_tiny("cache", ONE_TOKEN, 4, miss="cpu")
    assert loaded(schedule) == []
    assert experts_on(schedule, "cpu") == [(2, "offload"), (1, "offload")]
    assert experts_on(schedule, "gpu0") == [(0, "hit"), (3, "hit")]
    assert summarise(timed(schedule)).bytes_sent == 4 * 20


def test_cheaper_weighs_every_expert_by_the_machines_costs() -> None:
    """Load and GPU take 11 s, a token on the CPU 4 s: two tokens of 0/3 stay on the CPU, three of 0/2 do not.

    The load starts beside the CPU's part: the send that would block the link's queue comes after it.
    """
    trace = trace_of([[2, 3], [3, 2]], [[2, 3], [3, 2]], [[2, 1], [3, 2]], prompts=[3])
    schedule = plan_tiny("cache", trace, 4, miss="cheaper")
    assert listing(schedule)[:10] == lines("""
        0 attention gpu0 0 3t
        1 gate gpu0 0 3t after 0
        2 wait host after 1
        3 send gpu0.d2h 0 offload 2t 40B after 1
        4 expert cpu 0/3 offload 2t after 3
        5 load gpu0.h2d 0/2 demand slot4 400B
        6 send gpu0.h2d 0 offload 2t 40B p-1 after 4
        7 expert gpu0 0/1 hit slot2 1t after 1
        8 expert gpu0 0/2 demand slot4 3t after 1 5
        9 combine gpu0 0 3t after 6 7 8
    """)
    times = timed(schedule).times
    assert times.start_s[5] < times.end_s[4]


def test_more_experts_than_slots_reuse_the_slots_of_those_already_issued() -> None:
    """With two slots, 0/0 and 1/3 start; the miss of each block takes its only slot after the hit."""
    assert listing(plan_tiny("cache", ONE_TOKEN, 2))[3:6] == lines("""
        3 expert gpu0 0/0 hit slot0 1t after 1
        4 load gpu0.h2d 0/2 demand slot2 400B
        5 expert gpu0 0/2 demand slot2 1t after 1 4
    """)


def test_a_block_without_slots_streams_through_the_spare_one() -> None:
    schedule = plan_tiny("cache", ONE_TOKEN, 0)
    assert experts_on(schedule, "gpu0") == [(0, "stream"), (2, "stream"), (1, "stream"), (3, "stream")]
    assert set(schedule.ops.slot[ops_where(schedule, kind=Kind.LOAD)].tolist()) == {0}


@pytest.mark.parametrize(("scope", "least"), [("layer", 2), ("global", 1)])
def test_no_spare_slot_is_fine_as_long_as_every_block_has_one(scope: str, least: int) -> None:
    plan_tiny("cache", random_trace([(4, 6)], 2, 4, 2), least, scope=scope, spare=0)
    with pytest.raises(InputError, match=r"strategies.spare: some block would have no slot \(got 0\)"):
        plan_tiny("cache", ONE_TOKEN, least - 1, scope=scope, spare=0)


def test_the_cache_is_kept_from_one_batch_to_the_next() -> None:
    """The same sequence twice: the second time, its experts are there already."""
    token = [[2, 3], [0, 1]]
    trace = trace_of(token, token, prompts=[0, 0], lengths=[1, 1])
    schedule = plan_tiny("cache", trace, 4)
    assert [step.batch for step in schedule.steps] == [0, 1]
    assert {int(step) for step in schedule.ops.step[ops_where(schedule, kind=Kind.LOAD)]} == {0}


def test_a_batch_loads_an_expert_once_for_all_its_tokens() -> None:
    trace = trace_of([[2, 0], [3, 2]], [[2, 1], [3, 2]], [[2, 0], [3, 2]], prompts=[0, 0, 0], lengths=[1, 1, 1])
    schedule = plan_tiny("cache", trace, 4, batch=3)
    assert loaded(schedule) == [(0, 2)]
    uses = ops_where(schedule, kind=Kind.EXPERT, layer=0)
    assert dict(zip(schedule.ops.expert[uses].tolist(), schedule.ops.tokens[uses].tolist(), strict=True)) == {
        0: 2, 1: 1, 2: 3
    }  # fmt: skip


def test_hits_and_bytes_agree_with_a_replay_of_the_policy_alone() -> None:
    trace = random_trace([(0, 30)], 2, 4, 2, seed=3)
    schedule = plan_tiny("cache", trace, 4)
    rates = []
    for layer, start in ((0, [1, 0]), (1, [2, 3])):
        policy: LRU[int] = LRU(2)
        for expert in start:
            policy.insert(expert)
        rates.append(replay(policy, trace.ids[:, layer].tolist()).hit_rate)
    assert hit_rate(schedule) == pytest.approx(np.mean(rates))
    assert moved_bytes(schedule, Kind.LOAD) == round((1 - np.mean(rates)) * 30 * 2 * 2) * 400
