"""One execution on a GPU: the calling thread dispatches to streams, threads run what is not the GPU's or is queued."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Barrier
from time import perf_counter_ns

import numpy as np
import torch
from numpy.typing import NDArray

from hwexec.backend import ExecutionError, Task
from hwexec.cores import Cores
from hwexec.cuda_lanes import QueueThread, held
from hwexec.cuda_state import CudaState, Marks
from hwexec.device import Device, Event, Stream
from hwexec.device_clock import DeviceClock
from hwexec.host_lanes import LaneThread
from hwexec.host_run import HostRun
from hwexec.lane_times import ordered
from hwexec.wiring import Wiring
from sim.schedule import Schedule

_AHEAD = 48  # ops given to a stream and not done: some 1000 launches, which is where the driver blocks its caller


@dataclass(frozen=True)
class Rig:
    """What the runs of one prepared schedule share: streams by lane, events by op, signal words in pinned memory."""

    device: Device
    wiring: Wiring
    streams: Mapping[int, Stream]
    marks: Marks
    signals: NDArray[np.uint32]
    clock: DeviceClock
    launches: Mapping[int, Task]  # the ops of streams, each with its own two events


class CudaRun(HostRun):
    """One execution. The GPU's times are read from its events at the end and put on the host's clock."""

    _state: CudaState

    def __init__(self, schedule: Schedule, rig: Rig, tasks: list[Task | None], cores: Mapping[str, Cores]) -> None:
        self._rig = rig
        self._given: dict[int, deque[Event]] = {number: deque() for number in rig.wiring.streams}
        rig.signals[:] = 0
        rig.device.synchronize()
        rig.clock.open()
        lane = schedule.ops.lane
        queued = np.flatnonzero(np.isin(lane, list(rig.wiring.queues))).tolist()
        tasks = list(tasks)
        for op in queued:
            task = tasks[op]
            if task is not None:
                tasks[op] = held(rig.device, rig.streams[int(lane[op])], task, rig.marks[op])
        self._lane = lane.tolist()
        super().__init__(schedule, CudaState(schedule, rig.wiring, tasks, rig.marks, rig.signals), cores)
        self._kept.enter_context(torch.inference_mode())
        self._kept.callback(rig.device.leave)

    def _threaded(self) -> list[int]:
        return [number for number in super()._threaded() if number not in self._rig.wiring.streams]

    def _thread(self, number: int, cores: Cores, up: Barrier) -> LaneThread:
        if number in self._rig.wiring.queues and self._schedule.lanes[number].discipline == "priority":
            return QueueThread(number, self._schedule.lanes[number], cores, self._state, up)
        return super()._thread(number, cores, up)

    def submit(self, op: int) -> None:
        """Give an op to its stream behind what it waits for, or to its thread, and stamp it when that is done."""
        lane = self._lane[op]
        if lane not in self._rig.wiring.streams:
            super().submit(op)
            return
        try:
            self._issue(op, self._rig.streams[lane], self._given[lane])
        except RuntimeError as error:
            raise ExecutionError(f"op {op} on lane {self._schedule.lanes[lane].name}: {_first_line(error)}") from error
        self.times.dispatched[op] = perf_counter_ns()

    def wait(self, op: int) -> None:
        """Block until the dependencies of a host op have ended: a synchronisation with the GPU's events."""
        try:
            self._state.settle(op)
        except RuntimeError as error:
            raise ExecutionError(f"what op {op} waits for failed on the GPU: {_first_line(error)}") from error
        super().wait(op)

    def finish(self) -> None:
        """Join the threads, synchronise the GPU and read the events; raises ExecutionError if anything failed."""
        super().finish()
        try:
            self._rig.device.synchronize()
            self._rig.clock.close()
        except RuntimeError as error:
            raise ExecutionError(f"the GPU failed: {_first_line(error)}") from error
        self._read_events()

    def abort(self) -> None:
        """Let streams and threads go on to their ends without waiting for each other, and join them."""
        self._state.stop()
        with suppress(RuntimeError):  # what failed is known already
            self._rig.device.synchronize()
        super().finish()

    def _issue(self, op: int, stream: Stream, given: deque[Event]) -> None:
        rig, marks = self._rig, self._rig.marks
        if len(given) >= _AHEAD:
            given.popleft().synchronize()
        for dep in rig.wiring.events[op]:
            stream.wait_event(marks[dep][1])
        for dep in rig.wiring.signals[op]:
            self._await_thread(dep, stream)
        rig.launches[op]()
        given.append(marks[op][1])

    def _await_thread(self, dep: int, stream: Stream) -> None:
        """Make the stream wait for an op of a thread; where the driver cannot, the host waits in its place."""
        number = self._rig.wiring.signal_of[dep]
        if self._rig.signals[number]:
            return
        if self._rig.device.signals:
            self._rig.device.wait_signal(stream, self._rig.signals, number)
        else:
            self._state.until_signal(number)
            if self._state.stopped:
                self.abort()

    def _read_events(self) -> None:
        """Replace the stamps of the GPU's ops by what its events say; an op that was cancelled has none."""
        times, clock = self.times, self._rig.clock
        for number in (*self._rig.wiring.streams, *self._rig.wiring.queues):
            clock.rewind()
            for op in self._in_order(number):
                if not times.cancelled[op]:
                    start, end = self._rig.marks[op]
                    times.start[op], times.end[op] = round(clock.host_ns(start)), round(clock.host_ns(end))
        times.handed_over = list(times.dispatched)
        ordered(times, np.array(self._lane) == 0)

    def _in_order(self, lane: int) -> list[int]:
        """The ops of a lane in the order in which they ran."""
        ops = self._state.graph.lane_ops[lane]
        return sorted(ops, key=self.times.start.__getitem__) if lane in self._rig.wiring.queues else ops


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
