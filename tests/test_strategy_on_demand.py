from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.schedule import Kind
from tests.hand_work import ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of

TWO_TOKENS = trace_of([[2, 3], [3, 1]], [[2, 0], [3, 1]])


def test_misses_stream_through_the_placeholder_one_after_the_other() -> None:
    """With two slots, experts 0/0 and 1/3 stay; slot 2 is the placeholder."""
    assert listing(plan_tiny("on-demand", trace_of([[2, 3], [3, 1]]), 2)) == lines("""
        0 attention gpu0 0 1t
        1 gate gpu0 0 1t after 0
        2 wait host after 1
        3 load gpu0.h2d 0/2 stream slot2 400B after 1
        4 expert gpu0 0/2 stream slot2 1t after 1 3
        5 load gpu0.h2d 0/3 stream slot2 400B after 1 3 4
        6 expert gpu0 0/3 stream slot2 1t after 1 5
        7 combine gpu0 0 1t after 4 6
        8 attention gpu0 1 1t after 7
        9 gate gpu0 1 1t after 8
        10 wait host after 9
        11 expert gpu0 1/3 hit slot0 1t after 9
        12 load gpu0.h2d 1/1 stream slot2 400B after 5 6 9
        13 expert gpu0 1/1 stream slot2 1t after 9 12
        14 combine gpu0 1 1t after 11 13
        15 head gpu0 1 1t after 14
        16 wait host after 15
    """)


def test_a_miss_is_never_kept() -> None:
    """Expert 0/2 streams for each of the two tokens, 1/1 as well; what was placed is never loaded."""
    loads = [line for line in listing(plan_tiny("on-demand", TWO_TOKENS, 2)) if " load " in line]
    assert [line.split()[3] for line in loads] == ["0/2", "0/3", "1/1", "0/2", "1/1"]
    assert all("slot2" in line for line in loads)


def test_the_time_is_worked_out_by_hand() -> None:
    """Block 0: attention, gate, load, expert, load, expert, combine; block 1: the hit runs beside the load."""
    timeline = timed(plan_tiny("on-demand", trace_of([[2, 3], [3, 1]]), 2))
    assert timeline.makespan_s == (1 + 1 + 10 + 1 + 10 + 1 + 1) + (1 + 1 + 10 + 1 + 1) + 1


def test_a_second_placeholder_lets_the_next_copy_overlap_compute() -> None:
    one, two = (timed(plan_tiny("on-demand", trace_of([[2, 3], [3, 1]]), 2, placeholders=n)).makespan_s for n in (1, 2))
    assert one - two == 1.0, "the second load of block 0 runs beside the first expert"


def test_blocking_copies_hold_the_host() -> None:
    schedule = plan_tiny("on-demand", trace_of([[2, 3], [3, 1]]), 2, blocking=True)
    times = timed(schedule).times
    for load in ops_where(schedule, kind=Kind.LOAD):
        assert schedule.ops.kind[load + 1] == Kind.WAIT
        assert schedule.ops.dependencies(load + 1).tolist() == [load]
        assert times.dispatched_s[load + 2] >= times.end_s[load]


def test_nothing_is_loaded_if_all_is_cached() -> None:
    assert ops_where(plan_tiny("on-demand", TWO_TOKENS, 8), kind=Kind.LOAD) == []


def test_without_cache_everything_streams() -> None:
    assert len(ops_where(plan_tiny("on-demand", TWO_TOKENS, 0), kind=Kind.LOAD)) == 8


def test_a_placeholder_is_needed() -> None:
    with pytest.raises(InputError, match=r"strategies.placeholders: .*\(got 0\)"):
        plan_tiny("on-demand", TWO_TOKENS, 2, placeholders=0)
