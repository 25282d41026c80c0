"""The CUDA backend on a stand-in for the GPU: order, events, signals, clocks, memory, errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from time import sleep
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from hwexec.backend import ExecutionError, Run, Task
from hwexec.cuda import CudaBackend
from hwexec.cuda_run import CudaRun, Rig
from hwexec.cuda_state import Marks
from hwexec.device import Stream
from hwexec.device_clock import DeviceClock
from hwexec.dispatch import run_and_hand_over, run_once
from hwexec.execute import execute
from hwexec.launches import capture_runs, launches_of, runs_of
from hwexec.pinned import PinnedSpace
from hwexec.warm_up import warm_up
from hwexec.wiring import wiring_of
from sim.errors import DoesNotFit, InputError
from sim.precision import Precisions
from sim.program import default_lanes
from sim.schedule import Lane, Schedule
from tests.fake_device import FakeDevice
from tests.hardware import (
    COPY,
    CPU,
    GPU,
    HOST,
    LANES,
    TOLERANCE_S,
    WORKER,
    StandIn,
    Written,
    check_almost,
    check_rules,
    small_model,
)
from tests.test_hwexec_dispatch import written
from tests.test_hwexec_execute import planned

FIFO = (*LANES[:2], Lane("gpu0.h2d"), *LANES[3:])


class OnFake(StandIn):
    """The rules of the CUDA backend, with tasks of a test's own, on a stand-in for the GPU."""

    def __init__(self, schedule: Schedule, task: Any, device: FakeDevice, *, graphs: bool = False) -> None:
        super().__init__(schedule, task)
        wiring = wiring_of(schedule)
        streams: dict[int, Stream] = {n: device.new_stream() for n in wiring.streams | wiring.queues}
        lanes = schedule.ops.lane.tolist()
        marks: Marks = {op: (device.new_event(), device.new_event()) for op, n in enumerate(lanes) if n in streams}
        tasks = [task or partial(sleep, 0) for task in self._tasks] if graphs else self._tasks
        launches = launches_of(schedule, wiring, device, streams, tasks, marks)
        if graphs:
            capture_runs(schedule, wiring, device, streams, tasks, marks, launches)
        words = PinnedSpace(device).words(len(wiring.signal_of))
        self.rig = Rig(device, wiring, streams, marks, words, DeviceClock(device, device.new_stream()), launches)

    def start(self) -> Run:
        seats = {lane.name: (0,) for lane in self._schedule.lanes}
        return CudaRun(self._schedule, self.rig, self._tasks, seats)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwexec.cuda.cache_bytes", lambda: 1 << 12)
    monkeypatch.setattr("hwexec.pinned._STEP", 1 << 16)


@pytest.fixture
def device() -> Iterator[FakeDevice]:
    made = FakeDevice()
    yield made
    made.end()


def nothing(op: int) -> Task:
    return lambda: None


@given(written(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_any_schedule_ends_and_keeps_the_rules(w: Written, signals: bool) -> None:
    schedule, device = w.schedule(), FakeDevice(signals=signals)
    log: list[int] = []

    def task(op: int) -> Task:
        return partial(log.append, op)

    times = run_once(schedule, OnFake(schedule, task, device))
    device.end()
    check_almost(schedule, times)
    ops = schedule.ops
    ran = set(np.flatnonzero((ops.lane != HOST) & ~times.cancelled).tolist())
    assert sorted(log) == sorted(ran)
    done = {op: i for i, op in enumerate(log)}
    for op in ran:  # by what really happened, not by clocks
        assert all(done[dep] < done[op] for dep in ops.dependencies(op).tolist() if dep in done)


def test_a_stream_waits_for_a_thread_and_a_thread_for_a_stream(device: FakeDevice) -> None:
    w, log = Written(FIFO), list[int]()
    first = w.op(GPU)
    on_cpu = w.op(CPU, [first])
    copy = w.op(COPY, [on_cpu])
    last = w.op(GPU, [copy])
    w.wait(last)
    schedule = w.schedule()
    slow = {first: 0.01, on_cpu: 0.01, copy: 0.0, last: 0.0}

    def task(op: int) -> Task:
        def run() -> None:
            sleep(slow[op])
            log.append(op)

        return run

    for _ in range(2):  # a second run must not see the signals and events of the first
        log.clear()
        times = run_once(schedule, OnFake(schedule, task, device))
        assert log == [first, on_cpu, copy, last]
        assert times.start_s[on_cpu] >= times.end_s[first] - TOLERANCE_S
        assert times.end_s[-1] >= 0.02


def test_the_host_does_not_wait_for_a_thread_that_only_a_stream_waits_for(device: FakeDevice) -> None:
    w = Written(FIFO)
    on_cpu = w.op(CPU)
    w.op(GPU, [on_cpu])
    later = w.op(WORKER)
    schedule = w.schedule()
    times = run_once(schedule, OnFake(schedule, lambda op: partial(sleep, 0.03 * (op == on_cpu)), device))
    assert times.end_s[later] < times.end_s[on_cpu]


def test_without_signals_the_host_waits_in_the_streams_place() -> None:
    w, device = Written(FIFO), FakeDevice(signals=False)
    on_cpu = w.op(CPU)
    w.op(GPU, [on_cpu])
    later = w.op(WORKER)
    schedule = w.schedule()
    times = run_once(schedule, OnFake(schedule, lambda op: partial(sleep, 0.03 * (op == on_cpu)), device))
    device.end()
    assert times.dispatched_s[later] >= times.end_s[on_cpu]


def test_a_queue_chooses_when_the_link_is_idle_and_asks_the_gpu_what_is_ready(device: FakeDevice) -> None:
    w, log = Written(), list[int]()
    slow = w.op(GPU)
    held = w.op(COPY, [slow], priority=0)  # the most urgent, but the GPU is not done with its slot
    low, high = w.op(COPY, priority=2), w.op(COPY, priority=1)
    schedule = w.schedule()
    all_dispatched = threading.Event()

    def task(op: int) -> Task:
        def run() -> None:
            if op == slow:
                sleep(0.05)
            if op in (low, high):
                all_dispatched.wait(5)
                sleep(0.005)
            log.append(op)

        return run

    run = OnFake(schedule, task, device).start()
    for op in range(len(schedule)):
        run.submit(op)
    all_dispatched.set()
    run.finish()
    assert log.index(high) < log.index(slow)
    assert log[-1] == held
    assert log.index(slow) < log.index(held)


def test_a_cancelled_copy_is_not_made_and_its_followers_go_on(device: FakeDevice) -> None:
    for lanes in (LANES, FIFO):
        w, log = Written(lanes), list[int]()
        slow = w.op(GPU)
        victim = w.op(COPY, [slow])
        behind = w.op(COPY)
        w.cancel(victim)
        follower = w.op(GPU, [victim])
        schedule = w.schedule()
        tasks = {slow: partial(sleep, 0.03)}
        times = run_once(
            schedule, OnFake(schedule, lambda op, t=tasks, g=log: t.get(op, partial(g.append, op)), device)
        )
        assert times.cancelled[victim]
        assert sorted(log) == [behind, follower]


def test_an_op_that_fails_on_a_thread_ends_the_run_though_streams_wait_for_it(device: FakeDevice) -> None:
    w = Written(FIFO)
    bad = w.op(CPU)
    on_gpu = w.op(GPU, [bad])
    w.wait(on_gpu)
    schedule = w.schedule()
    before = threading.active_count()
    prepared = OnFake(schedule, lambda op: partial(divmod, 1, 0) if op == bad else nothing(op), device)
    streams = threading.active_count() - before
    with pytest.raises(ExecutionError, match=r"op 0 on lane cpu failed: ZeroDivisionError"):
        run_once(schedule, prepared)
    assert threading.active_count() == before + streams


def test_a_kernel_that_fails_is_one_clear_line(device: FakeDevice) -> None:
    w = Written(FIFO)
    w.wait(w.op(GPU))
    schedule = w.schedule()
    with pytest.raises((ExecutionError, RuntimeError), match="division"):
        run_once(schedule, OnFake(schedule, lambda op: partial(divmod, 1, 0), device))


def test_the_host_runs_ahead_of_a_stream_only_so_far(device: FakeDevice) -> None:
    w = Written(FIFO)
    for _ in range(120):
        w.op(GPU)
    schedule = w.schedule()
    times = run_once(schedule, OnFake(schedule, lambda op: partial(sleep, 0.0005), device))
    assert times.dispatched_s[60] >= times.end_s[0] - TOLERANCE_S
    assert times.dispatched_s[119] <= times.end_s[119]


def test_both_clocks_agree_on_one_axis(device: FakeDevice) -> None:
    w = Written(FIFO)
    for _ in range(3):
        w.wait(w.op(GPU))
        w.wait(w.op(CPU))
    schedule = w.schedule()
    prepared = OnFake(schedule, lambda op: partial(sleep, 0.02), device)
    times = run_once(schedule, prepared)
    check_almost(schedule, times)
    lasted = times.end_s - times.start_s
    assert (lasted[schedule.ops.lane == GPU] >= 0.0199).all()
    report = prepared.rig.clock.report()
    assert report["steady"] is True
    assert abs(report["drift_s"]) < 1e-3


def test_a_clock_that_runs_away_is_noticed() -> None:
    device = FakeDevice(drift_ppm=60000)
    clock = DeviceClock(device, device.new_stream())
    clock.open()
    sleep(0.2)
    clock.close()
    device.end()
    assert clock.report()["steady"] is False
    assert clock.drift_ns == pytest.approx(-0.2e9 * 0.06, rel=0.2)


def test_long_runs_are_read_from_near_events() -> None:
    """As 32-bit milliseconds, half an hour would be told to a tenth of a millisecond only."""
    device = FakeDevice(drift_ppm=0)
    at = iter(range(10**9))
    device.gpu_ns = lambda: 1.5e9 * next(at)  # type: ignore[method-assign]
    stream = device.new_stream()
    clock = DeviceClock(device, stream)
    clock.open()
    events = [device.new_event() for _ in range(1000)]
    for event in events:
        event.record(stream)
    device.synchronize()
    clock.close()
    readings = np.array([clock.host_ns(event) for event in events])
    device.end()
    spacing = np.diff(readings)
    assert np.ptp(spacing) / spacing.mean() < 1e-6


def test_an_op_that_the_gpu_began_early_counts_as_dispatched_then(device: FakeDevice) -> None:
    w = Written(FIFO)
    ops = [w.op(GPU) for _ in range(5)]
    schedule = w.schedule()
    prepared = OnFake(schedule, nothing, device)
    for op in ops:  # handing over takes long after the first kernel has begun
        launch = prepared.rig.launches[op]
        prepared.rig.launches[op] = lambda go=launch: (go(), sleep(0.003))  # type: ignore[index, misc]
    times, handed_over = run_and_hand_over(schedule, prepared)
    check_rules(schedule, times)
    assert (np.diff(handed_over) >= 0.003).all()
    assert (times.dispatched_s <= handed_over).all()
    assert (times.dispatched_s < handed_over - 0.001).any()


def test_captured_runs_wait_first_and_are_waited_for_last() -> None:
    w = Written(FIFO)
    a, b = w.op(GPU), w.op(GPU)
    copy = w.op(COPY)
    c = w.op(GPU, [copy])
    d, e = w.op(GPU), w.op(GPU)
    after_d = w.op(CPU, [d])
    f, g = w.op(GPU), w.op(GPU)
    schedule = w.schedule()
    assert runs_of(schedule, wiring_of(schedule)) == [[a, b], [c, d], [f, g]]
    assert after_d < f < g
    assert e not in (c, d)


@given(written())
@settings(max_examples=15, deadline=None)
def test_captured_or_not_the_same_ops_run_in_an_order_that_the_rules_allow(w: Written) -> None:
    schedule, device, log = w.schedule(), FakeDevice(), list[int]()
    prepared = OnFake(schedule, lambda op: partial(log.append, op), device, graphs=True)
    for _ in range(2):
        log.clear()
        times = run_once(schedule, prepared)
        check_almost(schedule, times)
        ran = np.flatnonzero((schedule.ops.lane != HOST) & ~times.cancelled).tolist()
        assert sorted(log) == ran
        done = {op: i for i, op in enumerate(log)}
        for op in ran:
            assert all(done[dep] < done[op] for dep in schedule.ops.dependencies(op).tolist() if dep in done)
    device.end()


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("on-demand", {}),
        ("cache", {"evict": "swap", "priority": True}),
        ("cache", {"miss": "cpu"}),
        ("fiddler", {}),
        ("layer-streaming", {"prefetch": False}),
    ],
)
def test_strategies_run_on_the_stand_in(device: FakeDevice, name: str, knobs: dict[str, Any]) -> None:
    schedule = planned(name, small_model(), cached=8 if name == "layer-streaming" else 4, **knobs)
    backend = CudaBackend(device, graphs=name == "on-demand")
    first, second = execute(schedule, backend, repeats=2)
    for timeline in (first, second):
        check_almost(schedule, timeline.times)
    assert first.meta["backend"] == "cuda"
    assert first.meta["fingerprint"]["gpu"] == "a stand-in"
    assert first.meta["condition_after"]["clock_slack_s"] > 0
    assert first.meta["condition_after"]["driver_allocations"] == 0
    assert (device.captured > 0) == (name == "on-demand")
    backend.close()
    assert not device.pinned or set(device.pinned.values()) == {0}


def test_quantised_experts_move_their_bytes_and_compute_in_bf16(device: FakeDevice) -> None:
    schedule = planned("cache", small_model(hidden=64), Precisions("q4_0", "bf16", "bf16"), miss="cpu")
    backend = CudaBackend(device)
    with backend.prepare(schedule) as prepared:
        memory = prepared._memory
        assert memory.slots[0].dtype == torch.uint8
        assert len(memory.slots[0]) == schedule.model.expert_bytes("q4_0")
        assert memory.weights(1, 0, 0, on_gpu=True).expert is not None
        assert memory.weights(1, 0, 0, on_gpu=True).expert.dtype == torch.bfloat16  # type: ignore[union-attr]
        check_almost(schedule, run_once(schedule, prepared))
        assert prepared.meta["quantised"] == "q4_0 bytes move; kernels compute in bf16, dequantised beforehand"


def test_pinned_memory_is_kept_from_one_schedule_to_the_next(device: FakeDevice) -> None:
    space = PinnedSpace(device)
    space.reserve(1000, torch.float32)
    before = dict(device.pinned)
    first = space.take(100, torch.float32, 0)
    second = space.take(100, torch.float32, 0)
    assert first.data_ptr() in before
    assert second.data_ptr() >= first.data_ptr() + 400
    assert 0.01 < float(first.std()) < 0.03
    other = space.take(8, torch.uint8, 0)
    assert other.data_ptr() in device.pinned
    space.reserve(500, torch.float32)
    assert device.pinned == before
    assert space.take(100, torch.float32, 0).data_ptr() == first.data_ptr()
    space.close()
    assert device.pinned == {}


def test_pageable_copies_are_made_by_threads_and_pin_only_the_signals(device: FakeDevice) -> None:
    schedule = planned("cache", small_model(), miss="cpu")
    wiring = wiring_of(schedule, blocking_copies=True)
    assert {schedule.lanes[n].name for n in wiring.queues} == {"gpu0.h2d", "gpu0.d2h"}
    backend = CudaBackend(device, copies="pageable")
    (timeline,) = execute(schedule, backend)
    check_almost(schedule, timeline.times)
    assert sum(device.pinned.values()) < 1 << 16
    assert timeline.meta["copies"] == "pageable"


def test_what_does_not_fit_the_gpu_is_refused_with_the_sum() -> None:
    device = FakeDevice(memory=10_000)
    with pytest.raises(DoesNotFit, match=r"does not fit the GPU: expert slots .* = .* GB > .* GB available"):
        execute(planned("cache", small_model()), CudaBackend(device))
    assert device.pinned == {}


def test_refused_pinned_memory_is_one_line() -> None:
    with pytest.raises(InputError, match="pinned memory was refused"):
        execute(planned("cache", small_model()), CudaBackend(FakeDevice(most_pinned=10)))


def test_a_second_gpu_is_refused() -> None:
    w = Written((Lane("host"), Lane("gpu0"), Lane("gpu1")))
    w.op(2)
    with pytest.raises(InputError, match=r"lane: runs schedules of one GPU \(got 'gpu1'\)"):
        wiring_of(w.schedule())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_backend_says_so_in_one_line() -> None:
    with pytest.raises(InputError, match=r"^backend: CUDA is not available: .* \(got 'cuda'\); .*--backend host$"):
        execute(planned("cache", small_model()), "cuda")


def test_an_arena_grows_and_changes_its_type(device: FakeDevice) -> None:
    space = PinnedSpace(device)
    space.reserve(10, torch.float32)
    space.reserve(100_000, torch.bfloat16)
    assert list(device.pinned.values()) == [128 << 10]
    assert 0.01 < float(space.take(1000, torch.bfloat16, 0).float().std()) < 0.03
    space.close()


def test_cores_beside_a_gpu() -> None:
    from hwexec.cores import cores_beside_gpu

    lanes = [lane.name for lane in default_lanes()]
    many = cores_beside_gpu(lanes, tuple(range(16)))
    assert many["cpu"] == tuple(range(4, 16))
    assert [many[name] for name in ("host", "gpu0.d2h", "gpu0.h2d", "worker", "gpu0")] == [(0,), (1,), (2,), (3,), (3,)]
    assert cores_beside_gpu(lanes, tuple(range(16)), threads=4)["cpu"] == (4, 5, 6, 7)
    two = cores_beside_gpu(lanes, (3, 5))
    assert two["cpu"] == (5,)
    assert {two[name] for name in lanes if name != "cpu"} == {(3,)}
    assert set(cores_beside_gpu(lanes, (3,)).values()) == {(3,)}


def test_every_kernel_is_warmed_up_and_of_the_copies_a_few(device: FakeDevice) -> None:
    stream, log = device.new_stream(), list[int]()
    tasks: list[Task | None] = [partial(log.append, i) for i in range(8)]
    tasks += [None, tasks[0]]
    events = [device.new_event() for _ in range(3)]
    warm_up(device, {1: stream, 2: stream}, [1, 1, 1, 2, 2, 2, 2, 3, 1, 1], tasks, events, {2})
    assert log == [0, 1, 2, 3, 4], "one of a thread is none of the GPU's; equal tasks are run once"
    assert all(event._latest is not None for event in events)
