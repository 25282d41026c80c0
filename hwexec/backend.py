"""What a backend must offer, so that one host loop (`hwexec.dispatch`) runs schedules on all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from sim.errors import MoesimError
from sim.schedule import Schedule

Task = Callable[[], None]  # an op, ready to be run


class ExecutionError(MoesimError):
    """An op failed while it ran; the run was stopped and its threads have ended."""


class LaneTimes:
    """Nanoseconds of the monotonic clock for each op, as they are recorded; -1 where an op has not got there.

    A GPU may begin an op of several kernels before the host has handed over the last of them. Such an op counts as
    dispatched when it began; `handed_over` then has when the host was done with each.
    """

    def __init__(self, n: int) -> None:
        self.dispatched, self.start, self.end = [-1] * n, [-1] * n, [-1] * n
        self.cancelled = [False] * n
        self.handed_over: list[int] | None = None


class Run(ABC):
    """One execution: the host loop calls `submit`, `wait` and `cancel` in program order, then `finish`.

    The host loop records the times of ops on the host lane, `submit` when an op was handed over (before the op can
    start), the lanes when their ops start and end.
    """

    times: LaneTimes

    @abstractmethod
    def submit(self, op: int) -> None:
        """Hand an op to its lane, which runs it once its dependencies have ended."""

    @abstractmethod
    def wait(self, op: int) -> None:
        """Block the host until the dependencies of a host op have ended."""

    @abstractmethod
    def cancel(self, op: int) -> None:
        """Withdraw an op if it has not started: it ends now, without having run."""

    @abstractmethod
    def burn(self, seconds: float) -> None:
        """Keep the calling thread busy with nothing."""

    @abstractmethod
    def finish(self) -> None:
        """Return when every op has ended; raises ExecutionError if one failed."""

    @abstractmethod
    def abort(self) -> None:
        """Let lanes end after the op that they are at, and wait for that."""


class Prepared(ABC):
    """A schedule with all its memory on one backend; closes as a context. `meta` describes how it runs."""

    meta: dict[str, Any]

    @abstractmethod
    def start(self) -> Run:
        """Bring up the lanes for one execution."""

    @abstractmethod
    def condition(self) -> dict[str, float]:
        """What tells how fast the machine is at this moment, for the record before and after a run."""

    @abstractmethod
    def close(self) -> None:
        """Give back what was taken."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Backend(ABC):
    """A way to run schedules on this computer."""

    name: str

    @abstractmethod
    def prepare(self, schedule: Schedule, *, seed: int = 0) -> Prepared:
        """Allocate and fill everything; raises DoesNotFit before anything is allocated, InputError without kernels."""

    def close(self) -> None:  # noqa: B027  (most keep nothing)
        """Give back what is kept from one schedule to the next."""
