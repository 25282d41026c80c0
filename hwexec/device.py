"""What the CUDA backend asks of a GPU: streams, events, signals from the host, memory. Tests stand in for it.

Streams and events have the methods of `torch.cuda.Stream` and `torch.cuda.Event`, so that no call is wrapped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from hwexec.backend import Task


class Event(Protocol):
    """A point in a stream's work, with the time at which the GPU got there."""

    def record(self, stream: Any) -> None:
        """Put the point behind all that the stream has been given so far."""

    def query(self) -> bool:
        """Whether the GPU has passed it; true for one that was never recorded."""

    def synchronize(self) -> None:
        """Block the calling thread until the GPU has passed it."""

    def elapsed_time(self, end_event: Any) -> float:
        """Milliseconds from this event to a later one."""


class Stream(Protocol):
    """Work that the GPU does in the order in which it was given."""

    def wait_event(self, event: Any) -> None:
        """Hold what is given from now on until the event, as last recorded, has been passed."""

    def synchronize(self) -> None:
        """Block the calling thread until all work is done."""


class Device(ABC):
    """One GPU and the driver's view of host memory. `signals` tells whether streams can wait for the host's memory."""

    gpu: torch.device
    signals: bool

    @abstractmethod
    def new_stream(self) -> Stream:
        """A stream of its own."""

    @abstractmethod
    def new_event(self) -> Event:
        """An event that keeps the time."""

    @abstractmethod
    def run(self, stream: Stream, task: Task) -> None:
        """Give a stream what `task` enqueues, from the calling thread."""

    @abstractmethod
    def leave(self) -> None:
        """Bring the calling thread back to the stream that it had before `run`."""

    @abstractmethod
    def wait_signal(self, stream: Stream, signals: NDArray[np.uint32], number: int) -> None:
        """Hold what the stream is given from now on until the host has set `signals[number]` to 1.

        The signals are in memory that `pin` was called for.
        """

    @abstractmethod
    def capture(self, stream: Stream, tasks: list[Task]) -> Task:
        """Tasks, events among them, as one that enqueues all of them by a single launch."""

    @abstractmethod
    def new_capture_event(self) -> Event:
        """An event to be recorded by a captured task."""

    @abstractmethod
    def pin(self, memory: NDArray[np.uint8]) -> None:
        """Make host memory known to the driver, so that copies go at full speed; raises InputError if refused."""

    @abstractmethod
    def unpin(self, memory: NDArray[np.uint8]) -> None:
        """Take that back."""

    @abstractmethod
    def free_bytes(self) -> int:
        """Device memory that could be allocated now, blocks that the allocator keeps included."""

    @abstractmethod
    def usable_bytes(self) -> int:
        """What could be allocated, found by doing so; it is given back."""

    @abstractmethod
    def allocations(self) -> int:
        """How often the driver has been asked for device memory so far."""

    @abstractmethod
    def cache_bytes(self) -> int:
        """Size of the GPU's L2 cache."""

    @abstractmethod
    def synchronize(self) -> None:
        """Block until the GPU has nothing to do; raises if anything that it did failed."""

    @abstractmethod
    def fingerprint(self) -> dict[str, str]:
        """Which GPU, driver and link this is."""

    @abstractmethod
    def condition(self) -> dict[str, float]:
        """Clocks, power, temperature, throttling and link at this moment, as far as the driver tells."""
