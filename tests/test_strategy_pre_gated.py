from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError
from sim.metrics import moved_bytes, summarise
from sim.plan import plan
from sim.schedule import Kind, Reason, Schedule
from sim.strategies.registry import make_strategy
from sim.trace import RoutingTrace
from tests.conservation import computed, differing, routed
from tests.hand_work import loaded, ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import BF16, EXPERT_BYTES, slow_gpu, tiny_model
from tests.occupancy import slot_faults
from tests.runs import SETTINGS, Setting, planned
from tests.test_no_future import agreed_ops, rerouted, wait_for_gate
from tests.traces import random_trace

NAME = "pre-gated"
THREE = tiny_model(n_layers=3)
ONE_TOKEN = trace_of([[0, 2], [3, 1], [2, 1]])
SWITCH = SETTINGS["encoder and decoder, top-1"].model  # MoE blocks 1, of the encoder, and 3


def three_blocks(trace: RoutingTrace = ONE_TOKEN, cached: int = 8, **knobs: Any) -> Schedule:
    return plan_tiny(NAME, trace, cached, model=THREE, **knobs)


def test_each_block_fetches_for_the_next_while_it_computes() -> None:
    assert listing(three_blocks()) == lines("""
        0 attention gpu0 0 1t
        1 gate gpu0 0 1t after 0
        2 wait host after 1
        3 load gpu0.h2d 0/0 demand slot0 400B after 1     # the first block's own choice
        4 load gpu0.h2d 0/2 demand slot1 400B after 1
        5 wait host after 3 4
        6 load gpu0.h2d 1/1 prefetch slot2 400B after 1   # what gate 0 has chosen for block 1
        7 load gpu0.h2d 1/3 prefetch slot3 400B after 1
        8 expert gpu0 0/0 demand slot0 1t after 1 3
        9 expert gpu0 0/2 demand slot1 1t after 1 4
        10 wait host after 8 9
        11 combine gpu0 0 1t after 8 9
        12 attention gpu0 1 1t after 11
        13 gate gpu0 1 1t after 12
        14 wait host after 13
        15 wait host after 6 7                            # its own are there before it fetches for the next
        16 load gpu0.h2d 2/1 prefetch slot4 400B after 13
        17 load gpu0.h2d 2/2 prefetch slot5 400B after 13
        18 expert gpu0 1/1 prefetched slot2 1t after 6 13
        19 expert gpu0 1/3 prefetched slot3 1t after 7 13
        20 wait host after 18 19
        21 combine gpu0 1 1t after 18 19
        22 attention gpu0 2 1t after 21
        23 gate gpu0 2 1t after 22
        24 wait host after 23
        25 wait host after 16 17
        26 expert gpu0 2/1 prefetched slot4 1t after 16 23
        27 expert gpu0 2/2 prefetched slot5 1t after 17 23
        28 wait host after 26 27
        29 combine gpu0 2 1t after 26 27                  # and the last block fetches nothing
        30 head gpu0 2 1t after 29
        31 wait host after 30
    """)


def test_the_time_is_worked_out_by_hand() -> None:
    """Loads take 10 s, kernels 1 s: two experts arrive every 20 s; then two experts, combination and head."""
    times = timed(three_blocks())
    arrivals = [2 + 20, 2 + 40, 2 + 60]
    loads = ops_where(times.schedule, kind=Kind.LOAD)
    assert times.times.end_s[loads[1::2]].tolist() == arrivals
    assert times.makespan_s == arrivals[-1] + 3 + 1


def test_where_the_gpu_is_slow_only_the_first_block_waits() -> None:
    """Kernels take 100 s, loads 10 s."""
    makespan_s = timed(three_blocks(), slow_gpu()).makespan_s
    assert makespan_s == 200 + 20 + 300 + 2 * 500 + 100


def test_the_variant_of_the_paper_does_not_hold_the_host_at_the_end_of_a_block() -> None:
    waits = {variant: len(ops_where(three_blocks(variant=variant), kind=Kind.WAIT)) for variant in ("code", "paper")}
    assert waits["code"] - waits["paper"] == 3


def test_prefetches_are_never_wrong_and_nothing_is_kept() -> None:
    trace = random_trace([(5, 6), (3, 4)], n_layers=3, n_experts=4)
    schedule = three_blocks(trace)
    assert summarise(timed(schedule)).prefetch_used == 1.0
    assert moved_bytes(schedule, Kind.LOAD) == EXPERT_BYTES * len(ops_where(schedule, kind=Kind.EXPERT))


def test_in_every_pass_the_first_block_fetches_on_demand_and_no_other_does() -> None:
    schedule = three_blocks(random_trace([(5, 6), (3, 4)], n_layers=3, n_experts=4))
    loads = ops_where(schedule, kind=Kind.LOAD)
    on_demand = schedule.ops.reason[loads] == Reason.DEMAND
    assert (on_demand == (schedule.ops.layer[loads] == 0)).all()


def test_it_takes_two_buffers_of_a_blocks_experts() -> None:
    assert make_strategy(NAME).slots(SWITCH) == 2 * SWITCH.n_experts
    assert make_strategy(NAME, policy="lru").slots(SWITCH) is None


@pytest.mark.parametrize(("variant", "fetched"), [("code", Reason.DEMAND), ("paper", Reason.PREFETCH)])
def test_only_the_paper_pre_gates_an_encoder(variant: str, fetched: Reason) -> None:
    """Two MoE blocks in each stack; each stack's first chooses for itself."""
    model = tiny_model(n_layers=4, encoder_layers=2, top_k=1)
    trace = trace_of(*[[[0], [1], [2], [3]]] * 3, prompts=[2])
    schedule = plan_tiny(NAME, trace, 8, model=model, variant=variant)
    loads = ops_where(schedule, kind=Kind.LOAD)
    reasons = [(int(schedule.ops.layer[op]), Reason(schedule.ops.reason[op])) for op in loads]
    decoder = [(2, Reason.DEMAND), (3, Reason.PREFETCH)]
    assert reasons == [(0, Reason.DEMAND), (1, fetched), *decoder, *decoder], "decode runs the decoder alone"


@pytest.mark.parametrize("setting", ["plain", "dense first, shared expert", "missing ids"])
@pytest.mark.parametrize(("step", "moe"), [(1, 1), (4, 1)])
def test_the_next_block_is_known_when_this_ones_gate_has_run_and_no_sooner(setting: str, step: int, moe: int) -> None:
    where = SETTINGS[setting]
    a, b = (planned((NAME, ()), where, t) for t in (where.trace(), rerouted(where.trace(), where, step, moe)))
    known, agreed = wait_for_gate(a, step, where.model.moe_layers[moe - 1]), agreed_ops(a, b)
    assert known < agreed < wait_for_gate(a, step, where.model.moe_layers[moe])


def test_what_a_first_block_chooses_is_not_known_before_its_own_gate_has_run() -> None:
    where = SETTINGS["encoder and decoder, top-1"]
    for step, moe in ((0, 1), (1, 1)):  # the decoder's first MoE block in a prompt and in a decode step
        a, b = (
            planned((NAME, (("variant", "paper"),)), where, t)
            for t in (where.trace(), rerouted(where.trace(), where, step, moe))
        )
        assert agreed_ops(a, b) > wait_for_gate(a, step, where.model.moe_layers[moe])


def test_slots_beyond_the_buffers_cache_experts_of_all_blocks() -> None:
    """Three of them, least recently used leaves: of 0/0, 1/1 and 2/2 the first makes way for 0/3."""
    model = tiny_model(n_layers=3, top_k=1)
    trace = trace_of(*[[[first], [1], [2]] for first in (0, 0, 3, 0)])
    schedule = plan_tiny(NAME, trace, 8 + 3, model=model, policy="lru")
    assert loaded(schedule) == [(0, 0), (1, 1), (2, 2), (0, 3), (0, 0)]
    hits = ops_where(schedule, kind=Kind.EXPERT, reason=Reason.HIT)
    assert schedule.ops.step[hits].tolist() == [1, 1, 1, 2, 2, 3, 3]


def test_an_lfu_cache_keeps_what_was_used_most() -> None:
    model = tiny_model(n_layers=1, top_k=1)
    trace = trace_of(*[[[e]] for e in (0, 0, 1, 2, 0)])
    for policy, last in (("lfu", (0, 2)), ("lru", (0, 0))):
        assert loaded(plan_tiny(NAME, trace, 8 + 2, model=model, policy=policy))[-1] == last


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.sampled_from(["lru", "lfu"]), st.integers(0, 99), st.sampled_from(["code", "paper"]))
def test_a_cache_changes_neither_what_is_computed_nor_what_is_safe(
    beyond: int, policy: str, seed: int, variant: str
) -> None:
    where = Setting(THREE, batch=2, cached=None, seed=seed)
    schedule = plan(
        make_strategy(NAME, policy=policy, variant=variant), THREE, BF16, where.trace(), cached=8 + beyond, batch=2
    )
    assert not differing(routed(where.trace(), THREE, 2), computed(schedule))
    assert slot_faults(timed(schedule)) == slot_faults(timed(schedule, slow_gpu())) == []
    assert len(np.unique(schedule.ops.slot)) - 1 <= 8 + beyond


@pytest.mark.parametrize(("policy", "cached"), [("none", 7), ("lru", 8)])
def test_slots_that_do_not_hold_the_buffers_are_refused(policy: str, cached: int) -> None:
    with pytest.raises(InputError, match="two buffers"):
        three_blocks(cached=cached, policy=policy)
