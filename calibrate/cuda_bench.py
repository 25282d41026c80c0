"""Where calls are timed on a GPU: by events on a stream, its L2 emptied in between; the CPU's on their threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from time import perf_counter
from types import TracebackType
from typing import Self

import torch

from calibrate.bench import pin_thread
from calibrate.condition import tagged
from calibrate.journal import Samples
from calibrate.sampling import repeats_within, sample
from hwexec.backend import Task
from hwexec.cores import Cores
from hwexec.device import Device, Event, Stream
from hwexec.dispatch import quiet_interpreter
from hwexec.wiring import COPIES, GPU

FLUSH_BYTES = 512 << 20  # takes longer to write than any kernel's launches, and so hides them
_CHUNK = 16  # repeats given to the stream at a time: their launches stay below what the driver queues


class CudaBench:
    """Streams for the GPU's lanes, one thread pinned to all cores of the lane for each of the others."""

    def __init__(self, device: Device, cores: dict[str, Cores]) -> None:
        self.device, self.cores = device, cores
        self._open = ExitStack()
        self._threads: dict[Cores, ThreadPoolExecutor] = {}
        self._streams: dict[str, Stream] = {name: device.new_stream() for name in (GPU, *COPIES)}
        self._flush = torch.empty(max(FLUSH_BYTES, 4 * device.cache_bytes()), dtype=torch.uint8, device=device.gpu)
        self._events = [(device.new_event(), device.new_event(), device.new_event()) for _ in range(_CHUNK)]

    def __enter__(self) -> Self:
        self._open.callback(torch.set_num_threads, torch.get_num_threads())
        self._open.callback(self.device.leave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def time(self, name: str, lane: str, tasks: Sequence[Task], budget_s: float) -> Samples:
        """Samples of tasks that take turns. The GPU's carry the condition: seconds to write a byte of its memory."""
        if lane not in self._streams:
            return {name: self.on_cores(self.cores[lane], tasks, budget_s)}
        with torch.inference_mode(), quiet_interpreter():
            seconds, before = self._on_stream(self._streams[lane], tasks, budget_s)
        return tagged(name, seconds, [each / len(self._flush) for each in before])

    def held(self, name: str, lane: str, tasks: Sequence[Task], budget_s: float) -> Samples:
        """Samples of tasks that block who asks for them, such as copies from pageable memory: one after the other."""
        stream, turns = self._streams[lane], cycle(tasks)
        with torch.inference_mode(), quiet_interpreter():
            first_s = [self._held(stream, next(turns)) for _ in range(2)][-1]
            return {name: [self._held(stream, next(turns)) for _ in range(repeats_within(budget_s, 0.0, first_s))]}

    def on_cores(self, cores: Cores, tasks: Sequence[Task], budget_s: float) -> list[float]:
        """Seconds of tasks on one thread of these cores, which torch may use all of; they bring their own cold data."""
        return self.start_on_cores(cores, tasks, budget_s).result()

    def start_on_cores(self, cores: Cores, tasks: Sequence[Task], budget_s: float) -> Future[list[float]]:
        """The same, begun."""
        if cores not in self._threads:
            pool = ThreadPoolExecutor(1, f"moesim bench {cores[0]}", pin_thread, cores)
            self._threads[cores] = self._open.enter_context(pool)
        return self._threads[cores].submit(_sample, tasks, budget_s)

    def stream(self, lane: str) -> Stream:
        """The stream behind a lane of the GPU."""
        return self._streams[lane]

    def _on_stream(self, stream: Stream, tasks: Sequence[Task], budget_s: float) -> tuple[list[float], list[float]]:
        """Seconds of the tasks, and of the flush before each. Two calls warm up and estimate."""
        turns = cycle(tasks)
        self.device.run(stream, next(turns))
        stream.synchronize()
        began = perf_counter()
        (task_s,), (flush_s,) = self._chunk(stream, [next(turns)])
        around_s = max(flush_s, perf_counter() - began - task_s)  # the host may be the slower of the two
        seconds: list[float] = []
        before: list[float] = []
        left = repeats_within(budget_s, around_s, task_s)
        while left:
            n = min(left, _CHUNK)
            some, flushes = self._chunk(stream, [next(turns) for _ in range(n)])
            seconds, before, left = seconds + some, before + flushes, left - n
        return seconds, before

    def _chunk(self, stream: Stream, tasks: Sequence[Task]) -> tuple[list[float], list[float]]:
        used = self._events[: len(tasks)]
        for task, (flush, start, end) in zip(tasks, used, strict=True):
            flush.record(stream)
            self.device.run(stream, self._empty_cache)
            start.record(stream)
            self.device.run(stream, task)
            end.record(stream)
        used[-1][2].synchronize()
        return [_seconds(start, end) for _, start, end in used], [_seconds(flush, start) for flush, start, _ in used]

    def _empty_cache(self) -> None:
        self._flush.zero_()

    def _held(self, stream: Stream, task: Task) -> float:
        _, start, end = self._events[0]
        start.record(stream)
        self.device.run(stream, task)
        end.record(stream)
        end.synchronize()
        return _seconds(start, end)


def _sample(tasks: Sequence[Task], budget_s: float) -> list[float]:
    with torch.inference_mode(), quiet_interpreter():
        return sample(tasks, budget_s, _nothing)[0]


def _nothing() -> None:
    pass


def _seconds(start: Event, end: Event) -> float:
    return max(start.elapsed_time(end), 1e-6) / 1e3
