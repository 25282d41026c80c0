"""One execution on threads: the calling thread is the host lane, every other lane that has work is a thread."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from time import perf_counter_ns

import torch

from hwexec.backend import ExecutionError, Run
from hwexec.cores import Cores, pinned
from hwexec.host_lanes import FifoThread, LaneThread, PriorityThread, burn
from hwexec.host_state import HostState
from sim.schedule import Schedule


class HostRun(Run):
    """Lanes as threads pinned to `cores`; returns from its making when all of them are up."""

    def __init__(self, schedule: Schedule, state: HostState, cores: Mapping[str, Cores]) -> None:
        self._schedule, self._state, self.times = schedule, state, state.times
        self._kept = ExitStack()
        self._kept.callback(torch.set_num_threads, torch.get_num_threads())
        self._kept.enter_context(pinned(*cores[schedule.lanes[0].name]))
        torch.set_num_threads(1)
        busy = [number for number in self._threaded() if state.graph.lane_ops[number]]
        up = threading.Barrier(len(busy) + 1)
        self._threads = [self._thread(number, cores[schedule.lanes[number].name], up) for number in busy]
        for thread in self._threads:
            thread.start()
        try:
            up.wait()
        except threading.BrokenBarrierError:
            self.finish()

    def _threaded(self) -> list[int]:
        """The lanes that are threads."""
        return list(range(1, len(self._schedule.lanes)))

    def _thread(self, number: int, cores: Cores, up: threading.Barrier) -> LaneThread:
        lane = self._schedule.lanes[number]
        kind = PriorityThread if lane.discipline == "priority" else FifoThread
        return kind(number, lane, cores, self._state, up)

    def submit(self, op: int) -> None:
        """Stamp the dispatch, then let the op count it as an event."""
        self.times.dispatched[op] = perf_counter_ns()
        self._state.happened(op)

    def wait(self, op: int) -> None:
        """Block until the dependencies of a host op have ended."""
        if self._state.graph.needs[op]:
            self._state.gate[op].acquire()
        if self._state.stopped:
            self.finish()

    def cancel(self, op: int) -> None:
        """Withdraw an op if no lane has started it."""
        self._state.cancel(op)

    def burn(self, seconds: float) -> None:
        """Keep the host busy."""
        burn(seconds)

    def finish(self) -> None:
        """Join the lanes; raises ExecutionError if an op failed."""
        for thread in self._threads:
            thread.join()
        self._kept.close()
        if self._state.failure is not None:
            what, error = self._state.failure
            raise ExecutionError(f"{what} failed: {type(error).__name__}: {error}") from error

    def abort(self) -> None:
        """Stop and join the lanes; raises ExecutionError if that was because an op failed."""
        self._state.stop()
        self.finish()
