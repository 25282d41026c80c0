from __future__ import annotations

import pytest

from sim.metrics import moved_bytes
from sim.schedule import Kind, Schedule
from sim.strategies.registry import make_strategy
from tests.hand_work import loaded, ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import EXPERT_BYTES, slow_gpu, tiny_model
from tests.occupancy import most_blocks
from tests.traces import random_trace

ONE_TOKEN = trace_of([[0, 2], [3, 1]])
BLOCK_BYTES = 2 * (4 * 100 + 2 * 10 + 4 * 10)  # attention, norms and router, two bytes each
# An expert has 200 parameters, the rest of a block 460: a bucket of 300 takes two experts, or the rest of a block.


def test_module_by_module_with_a_bucketful_read_ahead() -> None:
    assert listing(plan_tiny("deepspeed-mii", ONE_TOKEN, 6, prefetch_bucket=300)) == lines(f"""
        0 load gpu0.h2d 0 stream {BLOCK_BYTES}B
        1 wait host after 0
        2 load gpu0.h2d 0/0 stream slot0 400B         # read ahead beside attention
        3 load gpu0.h2d 0/1 stream slot1 400B
        4 attention gpu0 0 1t after 0
        5 load gpu0.h2d 0/2 stream slot2 400B         # the MoE block is one module: all experts before its router
        6 load gpu0.h2d 0/3 stream slot3 400B
        7 wait host after 6
        8 load gpu0.h2d 1 stream {BLOCK_BYTES}B        # read ahead beside the experts
        9 gate gpu0 0 1t after 4
        10 wait host after 9
        11 expert gpu0 0/0 demand slot0 1t after 2 9
        12 expert gpu0 0/2 demand slot2 1t after 5 9
        13 combine gpu0 0 1t after 11 12
        14 wait host after 8
        15 load gpu0.h2d 1/0 stream slot4 400B
        16 load gpu0.h2d 1/1 stream slot5 400B
        17 attention gpu0 1 1t after 8 13
        18 load gpu0.h2d 1/2 stream slot0 400B after 2 11
        19 load gpu0.h2d 1/3 stream slot1 400B after 3
        20 wait host after 19
        21 gate gpu0 1 1t after 17
        22 wait host after 21
        23 expert gpu0 1/1 demand slot5 1t after 16 21
        24 expert gpu0 1/3 demand slot1 1t after 19 21
        25 combine gpu0 1 1t after 23 24
        26 head gpu0 1 1t after 25
        27 wait host after 26
    """)


def test_the_time_is_worked_out_by_hand() -> None:
    """The link is never idle until the last expert has come; then a router, two experts, a sum and the head."""
    timeline = timed(plan_tiny("deepspeed-mii", ONE_TOKEN, 6, prefetch_bucket=300))
    assert timeline.makespan_s == 2 * (23 + 4 * 10) + 1 + 2 + 1 + 1


def test_without_a_bucket_only_what_the_host_is_not_held_for_overlaps() -> None:
    """Attention runs while the experts come, they run while the next block comes; the link idles for the router."""
    timeline = timed(plan_tiny("deepspeed-mii", ONE_TOKEN, 6, prefetch_bucket=0))
    assert timeline.makespan_s == (23 + 4 * 10 + 1) + (23 + 4 * 10 + 1) + 2 + 1 + 1


@pytest.mark.parametrize(("max_live", "ahead"), [(460 + 800 + 1, True), (460 + 800, False)])
def test_nothing_is_read_ahead_while_too_many_parameters_are_live(max_live: int, ahead: bool) -> None:
    """As beside the experts of a block of Mixtral, which alone are 1.4 billion parameters."""
    schedule = plan_tiny("deepspeed-mii", ONE_TOKEN, 6, prefetch_bucket=300, max_live=max_live)
    next_block = ops_where(schedule, kind=Kind.LOAD, layer=1, expert=-1)[0]
    assert (next_block < ops_where(schedule, kind=Kind.GATE, layer=0)[0]) == ahead


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_it_is_blind_to_routing(variant: str) -> None:
    """Another routing changes what computes, but not one copy."""
    a, b = (plan_tiny("deepspeed-mii", trace_of(*[ids] * 3), 8, variant=variant) for ids in _TWO_ROUTINGS)
    assert loaded(a) == loaded(b)


_TWO_ROUTINGS = ([[0, 2], [3, 1]], [[1, 3], [2, 0]])


@pytest.mark.parametrize("prefetch_bucket", [0, 1, 300, 700, 10**9])
def test_every_pass_copies_every_block_and_none_for_the_next_pass(prefetch_bucket: int) -> None:
    model, trace = tiny_model(n_layers=3), random_trace([(3, 2), (2, 3)], 3, 4, 2)
    schedule = plan_tiny("deepspeed-mii", trace, 8, model=model, prefetch_bucket=prefetch_bucket)
    passes = 7
    assert moved_bytes(schedule, Kind.LOAD) == passes * 3 * (BLOCK_BYTES + 4 * EXPERT_BYTES)
    assert most_blocks(timed(schedule, slow_gpu())) == 2
    first = schedule.ops.layer[[step.first_op for step in schedule.steps]]
    assert first.tolist() == [0] * passes


def test_the_paper_keeps_the_whole_next_block_on_its_way() -> None:
    as_streamed = plan_tiny("layer-streaming", ONE_TOKEN, 8)
    assert listing(plan_tiny("deepspeed-mii", ONE_TOKEN, 8, variant="paper")) == listing(as_streamed)


@pytest.mark.parametrize(("knobs", "slots"), [({}, 8), ({"prefetch_bucket": 300}, 6), ({"variant": "paper"}, 8)])
def test_it_holds_a_block_and_what_may_come_ahead(knobs: dict[str, object], slots: int) -> None:
    assert make_strategy("deepspeed-mii", **knobs).slots(tiny_model()) == slots


def test_dense_blocks_are_one_module() -> None:
    model = tiny_model(n_layers=3, moe_layers=(1, 2), dense_hidden=30)
    schedule: Schedule = plan_tiny("deepspeed-mii", ONE_TOKEN, 8, model=model, prefetch_bucket=0)
    assert loaded(schedule) == [
        (0, -1),
        (1, -1),
        (1, 0),
        (1, 1),
        (1, 2),
        (1, 3),
        (2, -1),
        (2, 0),
        (2, 1),
        (2, 2),
        (2, 3),
    ]
