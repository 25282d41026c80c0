"""A GPU that is not one: streams are threads, events tell a clock of their own that drifts and is coarse."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from time import perf_counter_ns, sleep
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hwexec.backend import Task
from hwexec.device import Device
from sim.errors import InputError


class FakeEvent:
    """Like a CUDA event: who waits for one that was not recorded waits for nothing."""

    def __init__(self, device: FakeDevice) -> None:
        self._device = device
        self._latest: Record | None = None

    def record(self, stream: Any) -> None:
        self._latest = record = Record()
        stream.put(partial(self._pass, record))

    def query(self) -> bool:
        return self._latest is None or self._latest.passed.is_set()

    def synchronize(self) -> None:
        if self._latest is not None:
            self._latest.passed.wait()
        self._device.raise_failure()

    def elapsed_time(self, end_event: FakeEvent) -> float:
        assert self._latest is not None
        assert end_event._latest is not None
        assert self.query(), "timed before it was passed"
        assert end_event.query(), "timed before it was passed"
        return float(np.float32((end_event._latest.gpu_ns - self._latest.gpu_ns) / 1e6))

    def _pass(self, record: Record) -> None:
        record.gpu_ns = self._device.gpu_ns()
        record.passed.set()


class Record:
    """One recording of an event."""

    def __init__(self) -> None:
        self.passed = threading.Event()
        self.gpu_ns = 0.0


class FakeStream:
    """A thread that does what it is given, in order."""

    def __init__(self, device: FakeDevice) -> None:
        self._device = device
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True, name="fake stream")
        self._thread.start()

    def put(self, work: Callable[[], None]) -> None:
        self._work.put(work)

    def wait_event(self, event: FakeEvent) -> None:
        latest = event._latest
        if latest is not None:
            self.put(lambda: _wait(latest.passed))

    def synchronize(self) -> None:
        done = threading.Event()
        self.put(done.set)
        done.wait()

    def end(self) -> None:
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        torch.set_num_threads(1)
        with torch.inference_mode():
            while (work := self._work.get()) is not None:
                try:
                    work()
                except Exception as error:
                    self._device.failure = error


class FakeDevice(Device):
    """Tensors are the host's; `most_pinned` bytes can be pinned, `memory` bytes allocated."""

    gpu = torch.device("cpu")

    def __init__(
        self, *, signals: bool = True, memory: int = 1 << 40, most_pinned: int = 1 << 40, drift_ppm: float = 80.0
    ) -> None:
        self.signals, self.memory, self.most_pinned = signals, memory, most_pinned
        self.failure: Exception | None = None
        self.pinned: dict[int, int] = {}
        self.streams: list[FakeStream] = []
        self.captured = 0
        self._drift = 1 + drift_ppm * 1e-6
        self._origin = perf_counter_ns()

    def gpu_ns(self) -> float:
        """A clock that began at another time, runs at another speed and counts in half microseconds."""
        return (7e9 + (perf_counter_ns() - self._origin) * self._drift) // 500 * 500

    def new_stream(self) -> FakeStream:
        self.streams.append(FakeStream(self))
        return self.streams[-1]

    def new_event(self) -> FakeEvent:
        return FakeEvent(self)

    def run(self, stream: Any, task: Task) -> None:
        stream.put(task)

    def leave(self) -> None:
        pass

    def wait_signal(self, stream: Any, signals: NDArray[np.uint32], number: int) -> None:
        assert self.signals
        assert signals.__array_interface__["data"][0] in self.pinned, "streams can wait for pinned memory only"

        def wait() -> None:
            while not signals[number]:
                sleep(0)

        stream.put(wait)

    def capture(self, stream: Any, tasks: list[Task]) -> Task:
        """What the tasks would enqueue is kept, and enqueued whenever the graph is launched."""
        self.captured += 1

        def replay() -> None:  # on the stream's thread: an event's record is passed there and then
            for task in tasks:
                if isinstance(task, partial) and task.func.__name__ == "record":
                    event = task.func.__self__  # type: ignore[attr-defined]
                    event._latest = record = Record()
                    event._pass(record)
                else:
                    task()

        return replay

    def new_capture_event(self) -> FakeEvent:
        return FakeEvent(self)

    def pin(self, memory: NDArray[np.uint8]) -> None:
        if sum(self.pinned.values()) + len(memory) > self.most_pinned:
            raise InputError("pinned memory was refused", remedy="use less")
        self.pinned[memory.__array_interface__["data"][0]] = len(memory)

    def unpin(self, memory: NDArray[np.uint8]) -> None:
        del self.pinned[memory.__array_interface__["data"][0]]

    def free_bytes(self) -> int:
        return self.memory

    def usable_bytes(self) -> int:
        return self.memory

    def allocations(self) -> int:
        return 0

    def cache_bytes(self) -> int:
        return 1 << 12

    def synchronize(self) -> None:
        for stream in self.streams:
            stream.synchronize()
        self.raise_failure()

    def raise_failure(self) -> None:
        if self.failure is not None:
            raise RuntimeError(f"CUDA error: {self.failure}\nmore lines")

    def fingerprint(self) -> dict[str, str]:
        return {"gpu": "a stand-in"}

    def condition(self) -> dict[str, float]:
        return {"read_bytes_per_s": 1e9}

    def end(self) -> None:
        """End the threads."""
        for stream in self.streams:
            stream.end()


def _wait(event: threading.Event) -> None:
    event.wait()
