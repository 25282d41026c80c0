"""The lanes of the reference engine, as SimPy processes: what all of them do, fifo queues and priority queues."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Sequence
from heapq import heappop, heappush
from typing import Any

import simpy

from sim.job import Job
from sim.schedule import Lane
from sim.sharing import Process, SharedCapacity

_LAST = 2  # SimPy priority after URGENT and NORMAL


class SimLane(ABC):
    """Does one job at a time."""

    def __init__(self, env: simpy.Environment, sharing: SharedCapacity) -> None:
        self.env = env
        self.sharing = sharing
        self.lanes: Sequence[SimLane] = ()  # all lanes, by number
        self.asleep: simpy.Event | None = None
        self.waking_since: float | None = None
        self.free_since = 0.0
        self.process = env.process(self.work())

    @abstractmethod
    def work(self) -> Process:
        """The lane's process: take the next job, run it, forever."""

    def hand_over(self, job: Job) -> None:
        """Put a job that has just been dispatched in the queue."""
        raise NotImplementedError

    def notify(self, job: Job) -> None:
        """The last pending dependency of `job` has ended."""
        if job.ready is not None:
            job.ready.succeed()

    def wake(self) -> None:
        """Tell a lane that has run out of jobs that there is one."""
        if self.asleep is not None:
            self.asleep.succeed()
            self.asleep = None

    def sleep(self) -> simpy.Event:
        """The event that `wake` makes happen."""
        self.asleep = event = self.env.event()
        return event

    def until_ready(self, job: Job) -> Process:
        """Block the lane on a job whose dependencies are pending."""
        job.ready = self.env.event()
        yield job.ready

    def wake_up(self, handoff_s: float) -> Process:
        """Lose the time that an idle lane takes to come back to work, unless it has not even begun."""
        self.waking_since = self.env.now
        try:
            yield self.env.timeout(handoff_s)
            self.free_since = self.env.now
        except simpy.Interrupt:
            pass
        self.waking_since = None

    def run(self, job: Job) -> Process:
        """Spend the job's time; one withdrawn at the instant of its start has never run."""
        job.start = self.env.now
        try:
            if job.uses:
                yield from self.sharing.run(job.uses, job.duration_s)
            elif job.duration_s:
                yield self.env.timeout(job.duration_s)
        except simpy.Interrupt:
            pass
        if not job.cancelled:
            self.free_since = self.env.now
            self.end(job)

    def withdraw(self, job: Job) -> None:
        """Take back what the lane has begun for `job` at this very instant."""
        if job.start is not None:
            self.sharing.stop(self.process)
        elif self.waking_since == self.env.now:
            self.waking_since = None
            self.process.interrupt()  # if another job is ready, it begins again

    def end(self, job: Job) -> None:
        """Record the end and tell those who wait for it."""
        job.end = self.env.now
        if job.waiters is not None:
            for waiter in job.waiters:
                waiter.pending -= 1
                if not waiter.pending and waiter.end is None:
                    self.lanes[waiter.lane].notify(waiter)
            job.waiters = None


class FifoLane(SimLane):
    """Strictly in issue order, like a CUDA stream: a head that is not ready blocks those behind it."""

    def __init__(self, env: simpy.Environment, sharing: SharedCapacity) -> None:
        self.queue: deque[Job] = deque()
        super().__init__(env, sharing)

    def hand_over(self, job: Job) -> None:
        """Append to the queue."""
        self.queue.append(job)
        if self.asleep is not None:
            self.wake()

    def work(self) -> Process:
        """Run the head once it is ready; a job cancelled in the meantime takes no time."""
        while True:
            if not self.queue:
                yield self.sleep()
            job = self.queue.popleft()
            if job.pending and job.end is None:
                yield from self.until_ready(job)
            while job.handoff_s and self.env.now > self.free_since and job.end is None:
                yield from self.wake_up(job.handoff_s)
            if job.end is None:
                yield from self.run(job)


class PriorityLane(SimLane):
    """Lowest priority number first among the jobs that are ready, then issue order; never pre-empted."""

    def __init__(self, env: simpy.Environment, sharing: SharedCapacity) -> None:
        self.queue: list[tuple[int, int, Job]] = []
        super().__init__(env, sharing)

    def hand_over(self, job: Job) -> None:
        """Queue the job if it is ready; otherwise `notify` will."""
        if not job.pending:
            self.notify(job)

    def notify(self, job: Job) -> None:
        """Queue a job whose dependencies have all ended."""
        heappush(self.queue, (job.priority, job.index, job))
        self.wake()

    def work(self) -> Process:
        """Choose only after everything else at this instant has happened, so that the choice sees it."""
        while True:
            job = yield from self.head()
            while job.handoff_s and self.env.now > self.free_since:
                yield from self.wake_up(job.handoff_s)
                job = yield from self.head()
            yield _Settled(self.env)
            job = heappop(self.queue)[2]
            if job.end is None:
                yield from self.run(job)

    def head(self) -> Generator[simpy.Event, Any, Job]:
        """The job that would be chosen now; those withdrawn leave the queue."""
        while True:
            while self.queue and self.queue[0][2].end is not None:
                heappop(self.queue)
            if self.queue:
                return self.queue[0][2]
            yield self.sleep()


class _Settled(simpy.Event):
    """Happens now, after all other events of this instant."""

    def __init__(self, env: simpy.Environment) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        env.schedule(self, priority=_LAST)  # type: ignore[arg-type]


def choice_is_next(env: simpy.Environment) -> bool:
    """Whether nothing is left to happen at this instant but the choices of priority lanes."""
    return bool(env._queue) and env._queue[0][1] == _LAST  # SimPy shows the time of the next event only


def make_lane(lane: Lane, env: simpy.Environment, sharing: SharedCapacity) -> SimLane:
    """The process for a lane of a schedule."""
    return (PriorityLane if lane.discipline == "priority" else FifoLane)(env, sharing)
