"""Where calls are timed: on a thread pinned as the lane's will be, with caches emptied in between."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self

import torch

from calibrate.condition import tagged
from calibrate.journal import Samples
from calibrate.sampling import sample
from hwexec.backend import Task
from hwexec.condition import Yardstick
from hwexec.cores import available_cores, core_of
from hwexec.dispatch import quiet_interpreter
from sim.program import default_lanes


class Bench(Protocol):
    """What times tasks on the lanes of a backend."""

    def time(self, name: str, lane: str, tasks: Sequence[Task], budget_s: float) -> Samples:
        """Samples `name`: seconds of tasks that take turns as the lane would run them, their data out of the caches."""


class HostBench:
    """One pinned thread a core, which runs and times tasks as the lanes of the host backend run them."""

    def __init__(self) -> None:
        self.cores = core_of((lane.name for lane in default_lanes()), available_cores())
        self._open = ExitStack()
        self._threads: dict[int, ThreadPoolExecutor] = {}
        self._yardstick = Yardstick()

    def __enter__(self) -> Self:
        self._open.callback(torch.set_num_threads, torch.get_num_threads())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def time(self, name: str, lane: str, tasks: Sequence[Task], budget_s: float) -> Samples:
        """Samples `name`: seconds of tasks that take turns on the core of `lane`, their data out of the caches."""
        seconds, before = self._thread(self.cores[lane]).submit(self._sample, tasks, budget_s).result()
        return tagged(name, seconds, [each / self._yardstick.read_bytes for each in before])

    def _sample(self, tasks: Sequence[Task], budget_s: float) -> tuple[list[float], list[float]]:
        with torch.inference_mode(), quiet_interpreter():
            return sample(tasks, budget_s, self._yardstick.read)

    def _thread(self, core: int) -> ThreadPoolExecutor:
        if core not in self._threads:
            pool = ThreadPoolExecutor(1, f"moesim bench {core}", pin_thread, (core,))
            self._threads[core] = self._open.enter_context(pool)
        return self._threads[core]


def pin_thread(*cores: int) -> None:
    """Bind the calling thread to cores, on each of which torch may run one thread for it."""
    os.sched_setaffinity(0, set(cores))
    torch.set_num_threads(len(cores))
