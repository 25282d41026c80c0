from __future__ import annotations

import gc
import os
import sys
import threading
from functools import partial
from time import perf_counter, sleep

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from hwexec.backend import ExecutionError, Task
from hwexec.dispatch import run_once
from sim.schedule import Kind, Lane
from tests.hardware import COPY, CPU, GPU, HOST, LANES, WORKER, StandIn, Written, check_rules


def nothing(op: int) -> Task:
    return lambda: None


def logged(log: list[int], op: int) -> Task:
    return partial(log.append, op)


def test_a_fifo_lane_runs_in_issue_order_even_if_its_head_is_not_ready() -> None:
    w, log = Written(), list[int]()
    slow = w.op(CPU)
    head = w.op(GPU, [slow])
    behind = w.op(GPU)
    schedule = w.schedule()
    tasks = {slow: partial(sleep, 0.02)}
    times = run_once(schedule, StandIn(schedule, lambda op: tasks.get(op, logged(log, op))))
    check_rules(schedule, times)
    assert log == [head, behind]
    assert times.start_s[head] >= 0.02


def test_a_priority_lane_runs_the_lowest_number_among_the_ready_and_never_pre_empts() -> None:
    w, log = Written(), list[int]()
    first = w.op(COPY, priority=5)
    low, high, equal = (w.op(COPY, priority=n) for n in (2, 1, 2))
    later = w.op(COPY, [high], priority=0)
    schedule = w.schedule()
    started, all_queued = threading.Event(), threading.Event()

    def hold() -> None:
        log.append(first)
        started.set()
        all_queued.wait(5)

    run = StandIn(schedule, lambda op: hold if op == first else logged(log, op)).start()
    run.submit(first)
    started.wait(5)
    for op in range(first + 1, len(schedule)):
        run.submit(op)
    all_queued.set()
    run.finish()
    assert log == [first, high, later, low, equal]


def test_a_wait_holds_the_host_until_the_op_has_ended() -> None:
    w = Written()
    slow = w.op(GPU)
    w.wait(slow)
    after = w.op(CPU)
    schedule = w.schedule()
    times = run_once(schedule, StandIn(schedule, lambda op: partial(sleep, 0.02) if op == slow else nothing(op)))
    check_rules(schedule, times)
    assert times.dispatched_s[after] >= times.end_s[slow] >= 0.02


def test_software_keeps_its_lane_busy_for_the_stated_seconds() -> None:
    w = Written()
    on_host = w.op(HOST, kind=Kind.SOFTWARE, seconds=0.004)
    beside = w.op(WORKER, kind=Kind.SOFTWARE, seconds=0.003)
    unstated = w.op(WORKER, kind=Kind.SOFTWARE)
    schedule = w.schedule()
    times = run_once(schedule, StandIn(schedule, lambda op: None))
    check_rules(schedule, times)
    lasted = times.end_s - times.start_s
    assert lasted[on_host] >= 0.004
    assert lasted[beside] >= 0.003
    assert lasted[unstated] < 0.003


def test_a_cancelled_op_does_not_run_and_those_behind_it_go_on() -> None:
    w, log = Written(), list[int]()
    slow = w.op(CPU)
    victim = w.op(GPU, [slow])
    behind = w.op(GPU)
    dependent = w.op(COPY, [victim])
    w.cancel(victim)
    schedule = w.schedule()
    tasks = {slow: partial(sleep, 0.05)}
    times = run_once(schedule, StandIn(schedule, lambda op: tasks.get(op, logged(log, op))))
    check_rules(schedule, times)
    assert sorted(log) == [behind, dependent]
    assert times.cancelled.tolist() == [False, True, False, False, False]
    assert times.start_s[victim] == times.end_s[victim]
    assert times.end_s[[behind, dependent]].max() < times.end_s[slow]


def test_a_cancel_that_comes_too_late_changes_nothing() -> None:
    w = Written()
    done = w.op(GPU)
    w.wait(done)
    w.cancel(done)
    schedule = w.schedule()
    times = run_once(schedule, StandIn(schedule, nothing))
    assert not times.cancelled.any()


@pytest.mark.parametrize("lane", [GPU, COPY])
def test_cancelling_what_is_queued_on_either_discipline_lets_the_run_end(lane: int) -> None:
    w, log = Written(), list[int]()
    running = w.op(lane)
    victim = w.op(lane)
    w.cancel(victim)
    schedule = w.schedule()
    tasks = {running: partial(sleep, 0.02)}
    times = run_once(schedule, StandIn(schedule, lambda op: tasks.get(op, logged(log, op))))
    assert log == []
    assert times.cancelled[victim]


def test_an_op_that_fails_stops_the_run_with_one_clear_error_and_no_thread_left() -> None:
    w = Written()
    bad = w.op(GPU)
    w.op(CPU, [bad])
    w.op(COPY, [bad])
    w.wait(bad)
    w.op(GPU)
    schedule = w.schedule()
    before = threading.active_count()

    def task(op: int) -> Task:
        return partial(divmod, 1, 0) if op == bad else nothing(op)  # type: ignore[return-value]

    with pytest.raises(ExecutionError, match=r"op 0 on lane gpu0 failed: ZeroDivisionError"):
        run_once(schedule, StandIn(schedule, task))
    assert threading.active_count() == before


def test_an_interrupted_host_leaves_no_thread_and_restores_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    w = Written()
    for _ in range(5):
        w.op(GPU)
    w.op(HOST, kind=Kind.SOFTWARE, seconds=0.001)
    schedule = w.schedule()
    state = threading.active_count(), gc.isenabled(), sys.getswitchinterval(), os.sched_getaffinity(0)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hwexec.host_run.burn", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_once(schedule, StandIn(schedule, nothing))
    assert state == (threading.active_count(), gc.isenabled(), sys.getswitchinterval(), os.sched_getaffinity(0))


def test_a_run_restores_torch_threads() -> None:
    import torch

    w = Written()
    w.op(GPU)
    schedule, before = w.schedule(), torch.get_num_threads()
    run_once(schedule, StandIn(schedule, nothing))
    assert torch.get_num_threads() == before


def test_the_overhead_of_an_op_is_small() -> None:
    """Not a benchmark: an executor that polls, or sleeps, would take seconds here."""
    w = Written()
    last = 0
    for i in range(1500):
        last = w.op((GPU, CPU)[i % 2], [last] if i else [])
    schedule = w.schedule()
    began = perf_counter()
    run_once(schedule, StandIn(schedule, nothing))
    assert perf_counter() - began < 5


@st.composite
def written(draw: st.DrawFn) -> Written:
    fifo = draw(st.booleans())
    w = Written((*LANES[:2], Lane("gpu0.h2d", "fifo" if fifo else "priority"), *LANES[3:]))
    for i in range(draw(st.integers(1, 30))):
        deps = draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else []
        lane = draw(st.integers(HOST, WORKER))
        if lane != HOST:
            w.op(lane, deps, priority=draw(st.integers(0, 2)))
        elif deps and draw(st.booleans()):
            w.cancel(deps[0])
        else:
            w.wait(*deps)
    return w


@given(written(), st.data())
@settings(max_examples=40, deadline=None)
def test_any_schedule_ends_and_keeps_the_rules(w: Written, data: st.DataObject) -> None:
    schedule = w.schedule()
    times = run_once(schedule, StandIn(schedule, lambda op: partial(sleep, 0.0) if op % 3 == 0 else nothing(op)))
    check_rules(schedule, times)
    assert (times.end_s >= 0).all()
