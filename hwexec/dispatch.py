"""The host loop: walks a Schedule in program order, dispatches, waits, cancels; the same for every backend."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from hwexec.backend import LaneTimes, Prepared, Run
from sim.schedule import Kind, Schedule
from sim.timeline import Times

_SWITCH_S = 2e-5  # how long a thread may keep the interpreter from one that has an op to start


def run_once(schedule: Schedule, prepared: Prepared) -> Times:
    """Execute a prepared schedule; raises ExecutionError if an op fails, and leaves no thread behind."""
    return run_and_hand_over(schedule, prepared)[0]


def run_and_hand_over(schedule: Schedule, prepared: Prepared) -> tuple[Times, NDArray[np.float64]]:
    """The same, and the seconds at which the host was done handing over each op (see `LaneTimes`)."""
    with quiet_interpreter():
        run = prepared.start()
        begin = perf_counter_ns()
        try:
            _walk(schedule, run)
            run.finish()
        except BaseException:
            run.abort()
            raise
    times = run.times
    return _seconds(times, begin), _since(begin, times.handed_over or times.dispatched)


def _walk(schedule: Schedule, run: Run) -> None:
    """Dispatch every op, and do the host's own."""
    times, submit = run.times, run.submit
    ops = schedule.ops
    offsets, deps, stated = ops.deps.offsets.tolist(), ops.deps.values.tolist(), ops.stated_s.tolist()
    for op, (kind, lane) in enumerate(zip(ops.kind.tolist(), ops.lane.tolist(), strict=True)):
        if lane:
            submit(op)
            continue
        times.dispatched[op] = times.start[op] = perf_counter_ns()
        if kind == Kind.CANCEL:
            for target in deps[offsets[op] : offsets[op + 1]]:
                run.cancel(target)
        else:
            run.wait(op)
        if kind == Kind.SOFTWARE:
            times.start[op] = perf_counter_ns()
            run.burn(stated[op])
        times.end[op] = perf_counter_ns()


@contextmanager
def quiet_interpreter() -> Iterator[None]:
    """No garbage collection, and threads that take turns quickly, while a run is timed."""
    collecting, switch_s = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(switch_s)
        if collecting:
            gc.enable()


def _seconds(times: LaneTimes, begin: int) -> Times:
    dispatched, start, end = (_since(begin, stamps) for stamps in (times.dispatched, times.start, times.end))
    return Times(dispatched, start, end, np.array(times.cancelled, np.bool_))


def _since(begin: int, stamps: list[int]) -> NDArray[np.float64]:
    return (np.array(stamps, np.int64) - begin) / 1e9
