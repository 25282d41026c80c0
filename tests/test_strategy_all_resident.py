from __future__ import annotations

import pytest

from sim.errors import InputError
from tests.hand_work import plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import tiny_model

ONE_TOKEN = trace_of([[0, 2], [3, 1]])


def test_a_token_runs_its_experts_where_they_are() -> None:
    assert listing(plan_tiny("all-resident", ONE_TOKEN, 8)) == lines("""
        0 attention gpu0 0 1t
        1 gate gpu0 0 1t after 0
        2 wait host after 1
        3 expert gpu0 0/0 hit slot0 1t after 1
        4 expert gpu0 0/2 hit slot2 1t after 1
        5 combine gpu0 0 1t after 3 4
        6 attention gpu0 1 1t after 5
        7 gate gpu0 1 1t after 6
        8 wait host after 7
        9 expert gpu0 1/1 hit slot5 1t after 7
        10 expert gpu0 1/3 hit slot7 1t after 7
        11 combine gpu0 1 1t after 9 10
        12 head gpu0 1 1t after 11
        13 wait host after 12
    """)


def test_the_time_is_that_of_the_kernels() -> None:
    assert timed(plan_tiny("all-resident", ONE_TOKEN, 8)).makespan_s == 11.0


def test_dense_blocks_and_shared_experts_run_beside() -> None:
    model = tiny_model(moe_layers=(1,), dense_hidden=10, shared_hidden=10)
    schedule = plan_tiny("all-resident", trace_of([[0, 2]]), 4, model=model)
    assert listing(schedule) == lines("""
        0 attention gpu0 0 1t
        1 expert gpu0 0 1t after 0           # the dense FFN
        2 attention gpu0 1 1t after 1
        3 gate gpu0 1 1t after 2
        4 wait host after 3
        5 expert gpu0 1/0 hit slot0 1t after 3
        6 expert gpu0 1/2 hit slot2 1t after 3
        7 expert gpu0 1 1t after 3           # the shared expert
        8 combine gpu0 1 1t after 5 6 7
        9 head gpu0 1 1t after 8
        10 wait host after 9
    """)


def test_a_cache_smaller_than_the_model_is_refused() -> None:
    with pytest.raises(InputError, match=r"cache: all-resident needs room for all 8 experts \(got 7\); .*`cache: all`"):
        plan_tiny("all-resident", ONE_TOKEN, 7)
