from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.metrics import moved_bytes
from sim.schedule import Kind
from tests.hand_work import ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import EXPERT_BYTES, slow_gpu, tiny_model
from tests.occupancy import most_blocks
from tests.traces import random_trace

ONE_TOKEN = trace_of([[0, 2], [3, 1]])
BLOCK_BYTES = 2 * (4 * 100 + 2 * 10 + 4 * 10)  # attention, norms and router, two bytes each


def test_without_prefetch_a_block_comes_when_the_one_before_has_left_its_buffer() -> None:
    assert listing(plan_tiny("layer-streaming", ONE_TOKEN, 4, prefetch=False)) == lines(f"""
        0 load gpu0.h2d 0 stream {BLOCK_BYTES}B
        1 load gpu0.h2d 0/0 stream slot0 400B
        2 load gpu0.h2d 0/1 stream slot1 400B
        3 load gpu0.h2d 0/2 stream slot2 400B
        4 load gpu0.h2d 0/3 stream slot3 400B
        5 attention gpu0 0 1t after 0
        6 gate gpu0 0 1t after 5
        7 wait host after 6
        8 expert gpu0 0/0 demand slot0 1t after 1 6
        9 expert gpu0 0/2 demand slot2 1t after 3 6
        10 combine gpu0 0 1t after 8 9
        11 load gpu0.h2d 1 stream {BLOCK_BYTES}B after 10
        12 load gpu0.h2d 1/0 stream slot0 400B after 1 8
        13 load gpu0.h2d 1/1 stream slot1 400B after 2
        14 load gpu0.h2d 1/2 stream slot2 400B after 3 9
        15 load gpu0.h2d 1/3 stream slot3 400B after 4
        16 attention gpu0 1 1t after 10 11
        17 gate gpu0 1 1t after 16
        18 wait host after 17
        19 expert gpu0 1/1 demand slot1 1t after 13 17
        20 expert gpu0 1/3 demand slot3 1t after 15 17
        21 combine gpu0 1 1t after 19 20
        22 head gpu0 1 1t after 21
        23 wait host after 22
    """)


def test_with_prefetch_the_next_block_is_on_its_way_before_this_one_computes() -> None:
    """The second buffer takes block 1 at once; block 0 comes again as soon as it has computed."""
    assert listing(plan_tiny("layer-streaming", ONE_TOKEN, 8)) == lines(f"""
        0 load gpu0.h2d 0 stream {BLOCK_BYTES}B
        1 load gpu0.h2d 0/0 stream slot0 400B
        2 load gpu0.h2d 0/1 stream slot1 400B
        3 load gpu0.h2d 0/2 stream slot2 400B
        4 load gpu0.h2d 0/3 stream slot3 400B
        5 load gpu0.h2d 1 stream {BLOCK_BYTES}B
        6 load gpu0.h2d 1/0 stream slot4 400B
        7 load gpu0.h2d 1/1 stream slot5 400B
        8 load gpu0.h2d 1/2 stream slot6 400B
        9 load gpu0.h2d 1/3 stream slot7 400B
        10 attention gpu0 0 1t after 0
        11 gate gpu0 0 1t after 10
        12 wait host after 11
        13 expert gpu0 0/0 demand slot0 1t after 1 11
        14 expert gpu0 0/2 demand slot2 1t after 3 11
        15 combine gpu0 0 1t after 13 14
        16 load gpu0.h2d 0 stream {BLOCK_BYTES}B after 15
        17 load gpu0.h2d 0/0 stream slot0 400B after 1 13
        18 load gpu0.h2d 0/1 stream slot1 400B after 2
        19 load gpu0.h2d 0/2 stream slot2 400B after 3 14
        20 load gpu0.h2d 0/3 stream slot3 400B after 4
        21 attention gpu0 1 1t after 5 15
        22 gate gpu0 1 1t after 21
        23 wait host after 22
        24 expert gpu0 1/1 demand slot5 1t after 7 22
        25 expert gpu0 1/3 demand slot7 1t after 9 22
        26 combine gpu0 1 1t after 24 25
        27 head gpu0 1 1t after 26
        28 wait host after 27
    """)


def test_prefetch_overlaps_the_next_load_with_compute() -> None:
    """On a slow GPU all of the next block arrives while this one computes, and never before without prefetch."""
    for prefetch in (False, True):
        schedule = plan_tiny("layer-streaming", trace_of(*[[[0, 2], [3, 1]]] * 3), 8, prefetch=prefetch)
        times = timed(schedule, slow_gpu()).times
        combine = ops_where(schedule, kind=Kind.COMBINE, step=1, layer=0)[0]
        next_block = max(i for i in ops_where(schedule, kind=Kind.LOAD, layer=1, expert=-1) if i < combine + 2)
        assert (times.end_s[next_block] < times.start_s[combine]) == prefetch
        assert (times.start_s[next_block] >= times.end_s[combine]) == (not prefetch)


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("prefetch", [False, True])
def test_every_pass_loads_every_block_into_no_more_buffers_than_there_are(n_layers: int, prefetch: bool) -> None:
    model = tiny_model(n_layers=n_layers)
    trace = random_trace([(3, 2), (2, 3)], n_layers, 4, 2)
    schedule = plan_tiny("layer-streaming", trace, 8, model=model, prefetch=prefetch)
    passes, ahead = 7, int(prefetch and n_layers > 1)  # the block prefetched by the last pass comes on top
    loads = ops_where(schedule, kind=Kind.LOAD, expert=-1)
    assert len(loads) == passes * n_layers + ahead
    assert moved_bytes(schedule, Kind.LOAD) == len(loads) * (BLOCK_BYTES + 4 * EXPERT_BYTES)
    assert most_blocks(timed(schedule, slow_gpu())) == min(1 + prefetch, n_layers)


def test_dense_blocks_stream_without_experts() -> None:
    model = tiny_model(n_layers=3, moe_layers=(1, 2), dense_hidden=30)
    schedule = plan_tiny("layer-streaming", ONE_TOKEN, 4, model=model, prefetch=False)
    loads = ops_where(schedule, kind=Kind.LOAD)
    assert schedule.ops.layer[loads].tolist() == [0] + 5 * [1] + 5 * [2]
    assert schedule.ops.size_bytes[loads[0]] == 2 * (4 * 100 + 2 * 10 + 2 * 30 * 10)


def test_after_the_decoder_the_next_token_starts_at_the_decoder_again() -> None:
    """Encoder blocks stream once a prompt; what was wrongly fetched ahead at the next prompt is just dropped."""
    model = tiny_model(n_layers=4, encoder_layers=2, top_k=1)
    trace = random_trace([(3, 2), (2, 1)], 4, 4, 1)
    schedule = plan_tiny("layer-streaming", trace, 8, model=model)
    loads = ops_where(schedule, kind=Kind.LOAD, expert=-1)
    assert schedule.ops.layer[loads].tolist() == [0, 1, 2, 3, 2, 3, 2, 3, 2, 0, 1, 2, 3, 2, 3, 2]
    assert most_blocks(timed(schedule, slow_gpu())) == 2


@pytest.mark.parametrize(("prefetch", "needed"), [(False, 4), (True, 8)])
def test_fewer_slots_than_the_buffers_need_are_refused(prefetch: bool, needed: int) -> None:
    with pytest.raises(InputError, match=rf"cache: layer-streaming needs .* \(got {needed - 1}\); .*cache: {needed}"):
        plan_tiny("layer-streaming", ONE_TOKEN, needed - 1, prefetch=prefetch)
