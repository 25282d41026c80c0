"""The threads behind the lanes of the host backend."""

from __future__ import annotations

import threading
from abc import abstractmethod
from heapq import heappop, heappush
from time import perf_counter_ns

import torch

from hwexec.cores import Cores, pinned
from hwexec.host_state import HostState
from sim.schedule import Lane

_SPIN_NS = 20_000  # about what one pass over the idling buffer takes
_IDLING = torch.ones(1 << 17)


class LaneThread(threading.Thread):
    """Runs the ops of lane `number`, one at a time, with one torch thread on each of its cores."""

    def __init__(self, number: int, lane: Lane, cores: Cores, state: HostState, up: threading.Barrier) -> None:
        super().__init__(name=f"moesim {lane.name}", daemon=True)
        self.number, self.lane, self.cores, self.state = number, lane, cores, state
        self.ops = state.graph.lane_ops[number]
        self._up = up
        self._at = -1

    def run(self) -> None:
        """Say that the lane is up, then work; an error stops the whole run."""
        try:
            with pinned(*self.cores), torch.inference_mode():
                torch.set_num_threads(len(self.cores))
                _IDLING.sum()  # brings up further threads, if there are to be any
                self._up.wait()
                self.work()
        except threading.BrokenBarrierError:
            return
        except BaseException as error:
            self._up.abort()
            self.state.fail(f"op {self._at} on lane {self.lane.name}", error)

    @abstractmethod
    def work(self) -> None:
        """Run every op of the lane."""

    def execute(self, op: int) -> None:
        """Run one op that is ready, unless it was cancelled."""
        state = self.state
        if not state.claim(op):
            return
        times, task = state.times, state.tasks[op]
        self._at = op
        times.start[op] = perf_counter_ns()
        if task is None:
            burn(state.stated_s[op])
        else:
            task()
        times.end[op] = perf_counter_ns()
        state.ended(op)


class FifoThread(LaneThread):
    """Strictly in issue order."""

    def work(self) -> None:
        """Pass each op's gate in turn."""
        state, gate = self.state, self.state.gate
        for op in self.ops:
            gate[op].acquire()
            if state.stopped:
                return
            state.settle(op)
            self.execute(op)


class PriorityThread(LaneThread):
    """Lowest priority number first among the ops that are ready, then issue order."""

    def work(self) -> None:
        """Gather what has become ready, run the first of it, gather again."""
        state = self.state
        arrivals = state.queues[self.number]
        ready: list[tuple[int, int]] = []
        for _ in self.ops:
            if not ready:
                heappush(ready, arrivals.get())
            while not arrivals.empty():
                heappush(ready, arrivals.get())
            if state.stopped:
                return
            self.execute(heappop(ready)[1])


def burn(seconds: float) -> None:
    """Keep this core busy; passes over a small buffer leave the interpreter to other threads meanwhile."""
    if not seconds > 0:  # software whose duration nobody stated takes none
        return
    until = perf_counter_ns() + round(seconds * 1e9)
    while perf_counter_ns() < until - _SPIN_NS:
        _IDLING.sum()
    while perf_counter_ns() < until:
        pass
