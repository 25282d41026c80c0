"""The reference timer itself, on schedules worked out by hand and on its rules."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given

from tests.reference_timer import RefOp, time_schedule
from tests.strategies import RandomSchedule, random_schedules

Times = list[tuple[float, float, float]]

HOST, GPU, COPY = 0, 1, 2
FIFO = ["host", "fifo", "fifo"]
PRIORITY = ["host", "fifo", "priority"]


def spans(ops: list[RefOp], lanes: list[str], capacities: list[float] | None = None) -> list[tuple[float, float]]:
    return [(start, end) for _, start, end in time_schedule(ops, lanes, capacities or [])]


def ready(i: int, ops: list[RefOp], times: Times) -> float:
    return max([times[i][0], *(times[dep][2] for dep in ops[i].deps)])


def cancelled(ops: list[RefOp], times: Times) -> set[int]:
    cancels = [(times[i][0], op.deps[0]) for i, op in enumerate(ops) if op.is_cancel]
    return {target for moment, target in cancels if times[target][1:] == (moment, moment)}


def test_two_stage_pipeline() -> None:
    ops = []
    for i in range(3):
        ops += [RefOp(COPY, 2.0), RefOp(GPU, 3.0, deps=(2 * i,))]
    assert spans(ops, FIFO) == [(0, 2), (2, 5), (2, 4), (5, 8), (4, 6), (8, 11)]


def test_every_op_costs_its_dispatch_in_program_order() -> None:
    ops = [RefOp(GPU, 1.0, 0.5), RefOp(COPY, 1.0, 0.25), RefOp(GPU, 1.0, 2.0)]
    assert time_schedule(ops, FIFO) == [(0.5, 0.5, 1.5), (0.75, 0.75, 1.75), (2.75, 2.75, 3.75)]


def test_a_head_that_is_not_ready_blocks_a_fifo_lane_only() -> None:
    ops = [RefOp(GPU, 5.0), RefOp(COPY, 1.0, deps=(0,)), RefOp(COPY, 1.0)]
    assert spans(ops, FIFO)[1:] == [(5, 6), (6, 7)]
    assert spans(ops, PRIORITY)[1:] == [(5, 6), (0, 1)]


def test_a_lower_priority_number_overtakes_but_never_preempts() -> None:
    ops = [RefOp(COPY, 2.0, priority=3), RefOp(COPY, 2.0, priority=3), RefOp(COPY, 2.0, dispatch_s=1.0)]
    assert spans(ops, PRIORITY) == [(0, 2), (4, 6), (2, 4)]


def test_a_choice_sees_all_that_happens_at_its_instant() -> None:
    ops = [
        RefOp(COPY, 2.0),
        RefOp(GPU, 2.0),
        RefOp(COPY, 1.0, priority=2),
        RefOp(COPY, 1.0, priority=1, deps=(1,)),
        RefOp(COPY, 1.0, dispatch_s=2.0),
    ]
    assert spans(ops, PRIORITY)[2:] == [(4, 5), (3, 4), (2, 3)]


def test_a_wait_holds_the_host_and_costs_its_synchronisation() -> None:
    ops = [RefOp(GPU, 4.0, 1.0), RefOp(HOST, 0.5, 1.0, deps=(0,), is_wait=True), RefOp(GPU, 1.0, 1.0)]
    assert time_schedule(ops, FIFO) == [(1, 1, 5), (2, 2, 5.5), (6.5, 6.5, 7.5)]
    assert time_schedule([RefOp(GPU, 0.0), ops[1]], FIFO)[1] == (1, 1, 1.5), "it may have ended already"


def test_software_on_the_host_delays_what_is_dispatched_after_it() -> None:
    ops = [RefOp(GPU, 4.0, 1.0), RefOp(HOST, 2.0, 1.0, deps=(0,)), RefOp(COPY, 1.0, 1.0)]
    assert time_schedule(ops, FIFO) == [(1, 1, 5), (2, 5, 7), (8, 8, 9)]


def test_users_of_a_capacity_share_it_in_proportion() -> None:
    copied, computed = 62.0, 57.0  # GB/s alone; together 39 and 36, the memory's 75
    both = [RefOp(COPY, 1.0, demand=(copied,)), RefOp(GPU, 1.0, demand=(computed,))]
    (_, copy_end), (_, compute_end) = spans(both, FIFO, [75.0])
    assert copy_end == compute_end == pytest.approx(119 / 75)
    assert copied / copy_end == pytest.approx(39.08, abs=0.01)
    assert computed / compute_end == pytest.approx(35.92, abs=0.01)
    longer = spans([both[0], RefOp(GPU, 2.0, demand=(computed,))], FIFO, [75.0])
    assert [end for _, end in longer] == pytest.approx([119 / 75, 119 / 75 + 1])


def test_the_scarcest_capacity_sets_the_pace_and_strangers_run_on() -> None:
    ops = [
        RefOp(1, 1.0, demand=(4.0, 1.0)),  # half speed for the second capacity's sake
        RefOp(2, 1.0, demand=(0.0, 1.0)),
        RefOp(3, 1.0, demand=(2.0, 0.0)),  # its capacity has room for all of 6
        RefOp(4, 1.0),
    ]
    lanes = ["host", "fifo", "fifo", "fifo", "fifo"]
    assert spans(ops, lanes, [6.0, 1.0]) == [(0, 2), (0, 2), (0, 1), (0, 1)]


def test_a_cancelled_op_ends_when_it_is_cancelled_and_frees_its_lane() -> None:
    cancel = RefOp(HOST, 0.0, 1.0, deps=(1,), is_cancel=True)
    ops = [RefOp(COPY, 3.0), RefOp(COPY, 9.0), RefOp(COPY, 1.0), RefOp(GPU, 1.0, deps=(1,)), cancel]
    for lanes in (FIFO, PRIORITY):
        assert time_schedule(ops, lanes) == [(0, 0, 3), (0, 1, 1), (0, 3, 4), (0, 1, 2), (1, 1, 1)]


def test_a_cancel_comes_too_late_for_an_op_that_has_started() -> None:
    ops = [RefOp(COPY, 3.0), RefOp(HOST, 0.0, 1.0, deps=(0,), is_cancel=True), RefOp(GPU, 1.0)]
    assert time_schedule(ops, FIFO) == [(0, 0, 3), (1, 1, 1), (1, 1, 2)]


def test_a_cancel_at_the_instant_of_the_start_comes_first() -> None:
    ops = [RefOp(COPY, 2.0), RefOp(COPY, 9.0), RefOp(HOST, 0.0, 2.0, deps=(1,), is_cancel=True)]
    for lanes in (FIFO, PRIORITY):
        assert spans(ops, lanes) == [(0, 2), (2, 2), (2, 2)]


@given(random_schedules())
def test_random_schedules_keep_the_rules(schedule: RandomSchedule) -> None:
    ops, lanes, capacities = schedule
    times = time_schedule(ops, lanes, capacities)
    gone = cancelled(ops, times)
    assert [dispatched for dispatched, _, _ in times] == sorted(dispatched for dispatched, _, _ in times)
    for i, (op, (dispatched, start, end)) in enumerate(zip(ops, times, strict=True)):
        assert dispatched <= start <= end
        if i in gone or op.is_cancel:
            assert start == end
        elif op.is_wait:
            assert end == pytest.approx(max(start, ready(i, ops, times)) + op.duration_s)
        else:
            assert start >= ready(i, ops, times)
            assert end - start >= op.duration_s - 1e-9
            assert capacities or end - start == op.duration_s
    for lane in range(len(lanes)):
        spans = sorted(times[i][1:] for i, op in enumerate(ops) if op.lane == lane and i not in gone)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


@given(random_schedules(handoffs=False))
def test_no_lane_idles_while_it_could_work_nor_works_out_of_turn(schedule: RandomSchedule) -> None:
    ops, lanes, capacities = schedule
    times = time_schedule(ops, lanes, capacities)
    gone = cancelled(ops, times)
    for i in set(range(len(ops))) - gone:
        fellows = [j for j, op in enumerate(ops) if op.lane == ops[i].lane and j != i]
        start = times[i][1]
        if lanes[ops[i].lane] == "fifo":
            assert start == max([ready(i, ops, times), *(times[j][2] for j in fellows if j < i)])
        if lanes[ops[i].lane] == "priority":
            assert start == ready(i, ops, times) or start in [times[j][2] for j in fellows]
            for j in set(fellows) - gone:
                if (ops[j].priority, j) < (ops[i].priority, i) and times[j][1] > start:
                    assert ready(j, ops, times) > start


@given(random_schedules(lanes=("host", "fifo", "fifo"), sharing=False, cancels=False, handoffs=False))
def test_fifo_lanes_follow_the_closed_form(schedule: RandomSchedule) -> None:
    ops, lanes, _ = schedule
    host, free, expected = 0.0, [0.0] * len(lanes), Times()
    for op in ops:
        dispatched = host = host + op.dispatch_s
        ready = max([dispatched, *(expected[dep][2] for dep in op.deps)])
        start = dispatched if op.is_wait else max(ready, free[op.lane])
        end = max(start, ready) + op.duration_s
        free[op.lane] = end
        if op.lane == HOST:
            host = end
        expected.append((dispatched, start, end))
    assert time_schedule(ops, lanes) == expected
