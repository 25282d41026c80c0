from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.engine import Engine, simulate_windows
from sim.timeline import join_times
from tests.blocks import run_engine, to_costs, to_lanes, to_ops
from tests.reference_timer import RefOp, time_schedule
from tests.strategies import RandomSchedule, random_schedules

HOST, GPU, LINK = 0, 1, 2


@given(random_schedules(sharing=False))
def test_engine_equals_brute_force_to_the_bit_without_sharing(case: RandomSchedule) -> None:
    ops, lanes, capacities = case
    assert run_engine(ops, lanes, capacities) == time_schedule(ops, lanes, capacities)


@given(random_schedules(sharing=True))
def test_engine_equals_brute_force_with_sharing(case: RandomSchedule) -> None:
    ops, lanes, capacities = case
    expected = np.array(time_schedule(ops, lanes, capacities))
    np.testing.assert_allclose(run_engine(ops, lanes, capacities), expected, rtol=1e-9, atol=1e-12)


@given(random_schedules())
def test_causality_no_op_starts_before_its_dispatch_or_its_dependencies(case: RandomSchedule) -> None:
    ops, lanes, capacities = case
    times = run_engine(ops, lanes, capacities)
    ended_by_force = {dep for op in ops if op.is_cancel for dep in op.deps}
    for i, (op, (dispatched, start, end)) in enumerate(zip(ops, times, strict=True)):
        assert dispatched <= start <= end
        if not (op.is_wait or op.is_cancel or i in ended_by_force):
            assert all(times[dep][2] <= start for dep in op.deps)


@given(random_schedules())
def test_monotone_clock_the_host_dispatches_in_program_order(case: RandomSchedule) -> None:
    ops, lanes, capacities = case
    dispatched = [moment for moment, _, _ in run_engine(ops, lanes, capacities)]
    assert dispatched == sorted(dispatched)


@given(random_schedules())
def test_a_lane_does_one_op_at_a_time(case: RandomSchedule) -> None:
    ops, lanes, capacities = case
    times = run_engine(ops, lanes, capacities)
    for lane in range(1, len(lanes)):
        spans = sorted((start, end) for op, (_, start, end) in zip(ops, times, strict=True) if op.lane == lane)
        spans = [(start, end) for start, end in spans if start < end]  # a cancelled op takes no time
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


@given(random_schedules(cancels=False))
def test_conservation_every_op_ends_and_takes_at_least_its_time(case: RandomSchedule) -> None:
    ops, lanes, capacities = case
    for op, (_, start, end) in zip(ops, run_engine(ops, lanes, capacities), strict=True):
        assert end - start >= op.duration_s - 1e-9


@given(random_schedules(lanes=["host", "fifo", "priority"], cancels=False, handoffs=False))
def test_work_conserving_a_priority_lane_never_idles_while_an_op_is_ready(case: RandomSchedule) -> None:
    ops, lanes, capacities = case
    times = run_engine(ops, lanes, capacities)
    mine = [i for i, op in enumerate(ops) if op.lane == 2]
    spans = sorted(times[i][1:] for i in mine)
    for i in mine:
        ready = max([times[i][0], *(times[dep][2] for dep in ops[i].deps)])
        busy_until = ready
        for start, end in spans:
            if start <= busy_until + 1e-12:
                busy_until = max(busy_until, end)
        assert times[i][1] <= busy_until + 1e-9


def test_shared_memory_bandwidth_matches_the_published_example() -> None:
    """62 GB/s alone and 57 GB/s alone became 37 + 38 GB/s together: proportional sharing of 75 GB/s."""
    one_second = [RefOp(GPU, 1.0, demand=(62e9,)), RefOp(LINK, 1.0, demand=(57e9,))]
    (_, _, first), (_, _, second) = run_engine(one_second, ["host", "fifo", "fifo"], [75e9])
    assert first == second == pytest.approx(119 / 75)
    achieved = (62e9 / first, 57e9 / second)
    assert sum(achieved) == pytest.approx(75e9)
    assert achieved == pytest.approx((37e9, 38e9), rel=0.06)


def test_an_op_left_alone_goes_back_to_full_speed() -> None:
    ops = [RefOp(GPU, 1.0, demand=(1.0,)), RefOp(LINK, 3.0, demand=(1.0,))]
    times = run_engine(ops, ["host", "fifo", "fifo"], [1.0])
    assert [end for _, _, end in times] == pytest.approx([2.0, 4.0])


def test_closed_form_two_stage_pipeline() -> None:
    """n items through stages of a and b seconds: a + (n - 1) max(a, b) + b."""
    n, a, b = 50, 0.75, 1.25
    ops = [op for i in range(n) for op in (RefOp(LINK, a), RefOp(GPU, b, deps=(2 * i,)))]
    assert run_engine(ops, ["host", "fifo", "fifo"])[-1][2] == a + (n - 1) * max(a, b) + b


def test_single_link_transfer_time_is_the_sum_of_its_parts() -> None:
    seconds = np.random.default_rng(0).uniform(0.1, 1.0, 200)
    ends = run_engine([RefOp(LINK, float(s)) for s in seconds], ["host", "fifo", "fifo"])
    assert ends[-1][2] == pytest.approx(seconds.sum())


def test_a_lane_takes_its_handoff_only_when_it_was_idle() -> None:
    ops = [
        RefOp(GPU, 1.0, handoff_s=0.25),  # ready at the start, at which no lane sleeps
        RefOp(GPU, 1.0, handoff_s=0.25),  # straight after the first
        RefOp(LINK, 3.0),
        RefOp(GPU, 1.0, deps=(2,), handoff_s=0.25),  # blocked until 3
    ]
    assert [start for _, start, _ in run_engine(ops, ["host", "fifo", "fifo"])] == [0.0, 1.0, 0.0, 3.25]


@pytest.mark.parametrize("discipline", ["fifo", "priority"])
def test_a_cancel_takes_back_what_begins_at_its_instant(discipline: str) -> None:
    """The lane turns to op 1 at 2, when the host, which has waited for op 0 too, cancels that; it goes on with op 2."""
    ops = [
        RefOp(LINK, 2.0),
        RefOp(LINK, 5.0),
        RefOp(LINK, 1.0),
        RefOp(GPU, 1.0, deps=(1,)),
        RefOp(HOST, 0.0, deps=(0,), is_wait=True),
        RefOp(HOST, 0.0, deps=(1,), is_cancel=True),
    ]
    times = run_engine(ops, ["host", "fifo", discipline])
    assert times == time_schedule(ops, ["host", "fifo", discipline])
    assert [start_end for _, *start_end in times] == [[0, 2], [2, 2], [2, 3], [2, 3], [0, 2], [2, 2]]


@pytest.mark.parametrize("discipline", ["fifo", "priority"])
def test_a_lane_does_not_wake_up_for_an_op_that_is_cancelled_at_once(discipline: str) -> None:
    """Op 2 is ready at 3 and cancelled at 3, after a wait of no time in which its lane may begin to wake up.

    Op 6 comes at 3.25, when the lane is as fast asleep as before.
    """
    ops = [
        RefOp(GPU, 3.0),
        RefOp(HOST, 0.0, deps=(0,), is_wait=True),
        RefOp(LINK, 5.0, handoff_s=1.0),
        RefOp(GPU, 0.0),
        RefOp(HOST, 0.0, deps=(3,), is_wait=True),
        RefOp(HOST, 0.0, deps=(2,), is_cancel=True),
        RefOp(LINK, 1.0, dispatch_s=0.25, handoff_s=1.0),
    ]
    times = run_engine(ops, ["host", "fifo", discipline])
    assert times == time_schedule(ops, ["host", "fifo", discipline])
    assert [times[op][1:] for op in (2, 5, 6)] == [(3, 3), (3, 3), (4.25, 5.25)]


def test_an_op_cancelled_at_its_start_has_drawn_on_nothing() -> None:
    ops = [
        RefOp(GPU, 4.0, demand=(1.0,)),
        RefOp(LINK, 2.0),
        RefOp(LINK, 9.0, demand=(1.0,)),
        RefOp(HOST, 0.0, deps=(1,), is_wait=True),
        RefOp(HOST, 0.0, deps=(2,), is_cancel=True),
    ]
    assert run_engine(ops, ["host", "fifo", "fifo"], [1.0])[0] == (0, 0, 4)


def test_mm1_queue_waits_as_queueing_theory_says() -> None:
    """Arrivals at rate .5 on one lane feed a server of rate 1 on another: mean time in system 1 / (1 - .5)."""
    rng, n = np.random.default_rng(7), 40_000
    ops = []
    for i, (gap, service) in enumerate(zip(rng.exponential(2.0, n), rng.exponential(1.0, n), strict=True)):
        ops += [RefOp(LINK, float(gap)), RefOp(GPU, float(service), deps=(2 * i,))]
    times = np.array(run_engine(ops, ["host", "fifo", "fifo"]))
    in_system = times[1::2, 2] - times[0::2, 2]
    assert in_system[2000:].mean() == pytest.approx(2.0, rel=0.05)
    assert np.mean(in_system[2000:] > 2.0) == pytest.approx(np.exp(-1.0), abs=0.02)  # the sojourn is exponential


@given(random_schedules(), st.integers(1, 5))
def test_feeding_in_pieces_gives_the_same_times_and_forgets_what_was_taken(case: RandomSchedule, size: int) -> None:
    """So a strategy that asks the clock, op by op if it likes, is told what the final simulation will say."""
    ops, lanes, capacities = case
    block, costs = to_ops(ops), to_costs(ops, capacities)
    pieces = [slice(begin, begin + size) for begin in range(0, len(ops), size)]
    windows = ((block[piece], costs[piece]) for piece in pieces)
    in_pieces = join_times(simulate_windows(windows, to_lanes(lanes), capacities))
    at_once = join_times(simulate_windows([(block, costs)], to_lanes(lanes), capacities))
    for column, expected in vars(at_once).items():
        np.testing.assert_array_equal(getattr(in_pieces, column), expected)


def test_asking_the_clock_does_not_change_the_past() -> None:
    ops = [RefOp(GPU, 2.0), RefOp(HOST, 0.5), RefOp(LINK, 1.0, deps=(0,))]
    engine = Engine(to_lanes(["host", "fifo", "fifo"]))
    block, costs = to_ops(ops), to_costs(ops)
    engine.feed(block[:2], costs[:2])
    engine.advance()
    assert engine.now == 0.5
    assert (engine.ended(0), engine.ended(1)) == (False, True)
    engine.feed(block[2:], costs[2:])
    engine.finish()
    assert engine.take().end_s.tolist() == [2.0, 0.5, 3.0]
