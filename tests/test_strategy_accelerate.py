from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.strategies.registry import make_strategy
from tests.hand_work import loaded, nothing_overlaps, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import tiny_model
from tests.traces import random_trace

ONE_TOKEN = trace_of([[0, 2], [3, 1]])
BLOCK_BYTES = 2 * (4 * 100 + 2 * 10 + 4 * 10)  # attention, norms and router, two bytes each


def test_the_whole_moe_layer_is_copied_when_it_is_reached() -> None:
    schedule = plan_tiny("accelerate", ONE_TOKEN, 4)
    assert listing(schedule) == lines(f"""
        0 load gpu0.h2d 0 stream {BLOCK_BYTES}B
        1 wait host after 0
        2 attention gpu0 0 1t after 0
        3 gate gpu0 0 1t after 2
        4 wait host after 3
        5 load gpu0.h2d 0/0 stream slot0 400B after 3
        6 wait host after 5                            # each copy is synchronous
        7 load gpu0.h2d 0/1 stream slot1 400B after 3
        8 wait host after 7
        9 load gpu0.h2d 0/2 stream slot2 400B after 3
        10 wait host after 9
        11 load gpu0.h2d 0/3 stream slot3 400B after 3
        12 wait host after 11
        13 expert gpu0 0/0 demand slot0 1t after 3 5
        14 expert gpu0 0/2 demand slot2 1t after 3 9
        15 combine gpu0 0 1t after 13 14
        16 load gpu0.h2d 1 stream {BLOCK_BYTES}B after 15
        17 wait host after 16
        18 attention gpu0 1 1t after 15 16
        19 gate gpu0 1 1t after 18
        20 wait host after 19
        21 load gpu0.h2d 1/0 stream slot0 400B after 5 13 19
        22 wait host after 21
        23 load gpu0.h2d 1/1 stream slot1 400B after 7 19
        24 wait host after 23
        25 load gpu0.h2d 1/2 stream slot2 400B after 9 14 19
        26 wait host after 25
        27 load gpu0.h2d 1/3 stream slot3 400B after 11 19
        28 wait host after 27
        29 expert gpu0 1/1 demand slot1 1t after 19 23
        30 expert gpu0 1/3 demand slot3 1t after 19 27
        31 combine gpu0 1 1t after 29 30
        32 head gpu0 1 1t after 31
        33 wait host after 32
    """)
    assert timed(schedule).makespan_s == 2 * (23 + 2 + 4 * 10 + 2 + 1) + 1


def test_with_a_module_an_expert_only_those_that_run_are_copied() -> None:
    """One slot is enough, for an expert is forgotten when it has run."""
    schedule = plan_tiny("accelerate", ONE_TOKEN, 1, variant="code")
    assert listing(schedule)[:11] == lines(f"""
        0 load gpu0.h2d 0 stream {BLOCK_BYTES}B
        1 wait host after 0
        2 attention gpu0 0 1t after 0
        3 gate gpu0 0 1t after 2
        4 wait host after 3
        5 load gpu0.h2d 0/0 stream slot0 400B after 3
        6 wait host after 5
        7 expert gpu0 0/0 stream slot0 1t after 3 5
        8 load gpu0.h2d 0/2 stream slot0 400B after 5 7
        9 wait host after 8
        10 expert gpu0 0/2 stream slot0 1t after 7 8
    """)
    assert loaded(schedule) == [(0, -1), (0, 0), (0, 2), (1, -1), (1, 1), (1, 3)]
    assert timed(schedule).makespan_s == 2 * (23 + 2 + 2 * (10 + 1) + 1) + 1


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_nothing_ever_overlaps(variant: str) -> None:
    model = tiny_model(n_layers=3, moe_layers=(1, 2), dense_hidden=10, shared_hidden=20)
    schedule = plan_tiny("accelerate", random_trace([(3, 2), (1, 2)], 2, 4, 2), 4, model=model, variant=variant)
    assert nothing_overlaps(timed(schedule))


def test_blocks_that_fit_stay_on_the_gpu() -> None:
    strategy = make_strategy("accelerate", gpu_layers=1)
    schedule = plan_tiny(strategy, ONE_TOKEN, 8)
    assert strategy.slots(tiny_model()) == 4 + 4
    assert strategy.block_buffers == 1 + 1
    assert schedule.start_slots == ((0, 0), (0, 1), (0, 2), (0, 3))
    assert loaded(schedule) == [(1, -1), (1, 0), (1, 1), (1, 2), (1, 3)]
    assert timed(schedule).makespan_s == (1 + 1 + 2 + 1) + (23 + 2 + 4 * 10 + 2 + 1) + 1


def test_after_a_block_that_stays_the_buffer_is_used_again() -> None:
    """Three tokens, each of which streams block 1 anew."""
    schedule = plan_tiny("accelerate", trace_of(*[[[0, 2], [3, 1]]] * 3), 5, variant="code", gpu_layers=1)
    assert loaded(schedule) == [(1, -1), (1, 1), (1, 3)] * 3


def test_to_offload_no_block_at_all_is_refused() -> None:
    with pytest.raises(InputError, match=r"gpu_layers: tiny has 2 blocks.* \(got 2\)"):
        make_strategy("accelerate", gpu_layers=2).slots(tiny_model())


@pytest.mark.parametrize(("variant", "needed"), [("paper", 4), ("code", 1)])
def test_too_few_slots_are_refused(variant: str, needed: int) -> None:
    with pytest.raises(InputError, match=f"accelerate needs {needed} expert slots"):
        plan_tiny("accelerate", ONE_TOKEN, needed - 1, variant=variant)
