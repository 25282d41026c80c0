"""The host lane of the reference engine: the thread that dispatches, waits, cancels and does software of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import simpy

from sim.job import Job
from sim.lanes import SimLane
from sim.schedule import Kind
from sim.sharing import Process, SharedCapacity

_WAIT, _CANCEL = int(Kind.WAIT), int(Kind.CANCEL)


class HostLane(SimLane):
    """The dispatching thread: hands each op to its lane in program order and does the host's own ops itself."""

    def __init__(self, env: simpy.Environment, sharing: SharedCapacity) -> None:
        self.todo: deque[Job] = deque()
        super().__init__(env, sharing)

    def issue(self, jobs: Sequence[Job]) -> None:
        """Append to the program."""
        self.todo.extend(jobs)
        if jobs:
            self.wake()

    @property
    def idle(self) -> bool:
        """Whether the host has handled all that was issued so far."""
        return self.asleep is not None and not self.todo

    def work(self) -> Process:
        """Dispatch, then hand over, wait, cancel or compute."""
        env = self.env
        while True:
            if not self.todo:
                yield self.sleep()
            job = self.todo.popleft()
            if job.dispatch_s:
                yield env.timeout(job.dispatch_s)
            job.dispatched = env.now
            if job.kind == _CANCEL:
                self._cancel(job)
                continue
            self._count_pending(job)
            if job.lane:
                self.lanes[job.lane].hand_over(job)
                continue
            if job.pending:
                yield from self.until_ready(job)
            yield from self.run(job)
            if job.kind == _WAIT:
                job.start = job.dispatched  # the host is held from here on

    def _count_pending(self, job: Job) -> None:
        for dependency in job.deps:
            if dependency.end is None:
                job.pending += 1
                if dependency.waiters is None:
                    dependency.waiters = []
                dependency.waiters.append(job)
        job.deps = ()

    def _cancel(self, job: Job) -> None:
        for target in job.deps:
            if target.end is None and target.start in (None, self.env.now):
                target.cancelled = True
                self.lanes[target.lane].withdraw(target)
                target.start = self.env.now
                self.end(target)
                if target.ready is not None and target.pending:
                    target.ready.succeed()  # its lane moves on
        job.deps = ()
        job.start = self.env.now
        self.end(job)
