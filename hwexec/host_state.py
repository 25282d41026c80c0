"""What the threads of one host run share: who is ready, who has claimed which op, whether something failed.

Nothing here takes a lock that two threads contend for. An op is ready when the last of its events happens, which
the one thread that causes it learns from an atomic counter and passes on by opening the op.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from time import perf_counter_ns

from hwexec.backend import LaneTimes, Task
from hwexec.graph import Graph
from sim.schedule import Schedule

Queue = SimpleQueue[tuple[int, int]]  # (priority, op)


class HostState:
    """Readiness of every op of one run.

    `gate[op]` is acquired by the fifo lane (or the host) that is to run the op; ops of priority lanes are put into
    their lane's queue instead.
    """

    def __init__(self, schedule: Schedule, graph: Graph, tasks: list[Task | None]) -> None:
        n = len(schedule)
        self.graph, self.tasks, self.times = graph, tasks, LaneTimes(n)
        self.failure: tuple[str, BaseException] | None = None
        self.stopped = False
        self.stated_s: list[float] = schedule.ops.stated_s.tolist()
        self.queues: dict[int, Queue] = {
            number: SimpleQueue() for number, lane in enumerate(schedule.lanes) if lane.discipline == "priority"
        }
        self.gate = [self._gate(op) for op in range(n)]
        self._events = [itertools.count(1) for _ in range(n)]
        self._open = self._openers(schedule)
        self._claims = {op: [op] for op in graph.cancellable}
        self._in_queue = frozenset(op for number in self.queues for op in graph.lane_ops[number])

    def _gate(self, op: int) -> threading.Lock | threading.Semaphore:
        if op in self.graph.cancellable:
            return threading.Semaphore(0)  # opened by a cancel, and again by its last event
        lock = threading.Lock()
        lock.acquire()
        return lock

    def _openers(self, schedule: Schedule) -> list[Callable[[], None]]:
        openers: list[Callable[[], None]] = [gate.release for gate in self.gate]
        for number, queue in self.queues.items():
            for op in self.graph.lane_ops[number]:
                openers[op] = partial(queue.put, (int(schedule.ops.priority[op]), op))
        return openers

    def happened(self, op: int) -> None:
        """One of the events that `op` needs has happened."""
        needed = self.graph.needs[op]
        if needed == 1 or next(self._events[op]) == needed:
            self._open[op]()

    def ended(self, op: int) -> None:
        """Tell the ops that wait for `op`."""
        for waiter in self.graph.waiters[op]:
            self.happened(waiter)

    def settle(self, op: int) -> None:
        """Block a lane's thread until what is no thread's work and `op` needs has ended; here, there is none."""

    def claim(self, op: int) -> bool:
        """Take an op that may be cancelled; true for the one thread that comes first."""
        if op not in self._claims:
            return True
        try:
            self._claims[op].pop()
        except IndexError:
            return False
        return True

    def cancel(self, op: int) -> None:
        """Withdraw an op unless a lane has claimed it; what waits for it goes on."""
        times = self.times
        if op not in self._claims or not self.claim(op):
            return
        times.start[op] = times.end[op] = perf_counter_ns()
        times.cancelled[op] = True
        self.ended(op)
        if op not in self._in_queue:
            self.gate[op].release()

    def fail(self, what: str, error: BaseException) -> None:
        """Remember the first error and let every thread go."""
        if self.failure is None:
            self.failure = (what, error)
        self.stop()

    def stop(self) -> None:
        """Open everything: threads look at `stopped` before they run another op."""
        self.stopped = True
        for opener in self._open:
            with suppress(RuntimeError):  # open already
                opener()
