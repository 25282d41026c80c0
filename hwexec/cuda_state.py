"""What the threads of one CUDA run share: readiness as on the host backend, and the GPU's events and signals."""

from __future__ import annotations

from time import sleep

import numpy as np
from numpy.typing import NDArray

from hwexec.backend import Task
from hwexec.device import Event
from hwexec.host_state import HostState
from hwexec.wiring import Wiring
from sim.schedule import Schedule

Marks = dict[int, tuple[Event, Event]]  # op -> its start and end


class CudaState(HostState):
    """`marks` are the events of every op of the GPU; `signals` the words that streams wait for, all 0 at first."""

    def __init__(
        self, schedule: Schedule, wiring: Wiring, tasks: list[Task | None], marks: Marks, signals: NDArray[np.uint32]
    ) -> None:
        super().__init__(schedule, wiring.graph, tasks)
        self._signal_of, self._signals = wiring.signal_of, signals
        self._awaited = [tuple(marks[dep][1] for dep in deps) for deps in wiring.events]

    def ended(self, op: int) -> None:
        """Tell threads and streams that wait for `op`."""
        number = self._signal_of.get(op)
        if number is not None:
            self._signals[number] = 1
        super().ended(op)

    def passed(self, op: int) -> bool:
        """Whether all events that `op` awaits have happened."""
        return all(event.query() for event in self._awaited[op])

    def settle(self, op: int) -> None:
        """Block until all events that `op` awaits have happened; one that may be cancelled is watched meanwhile."""
        if op in self.graph.cancellable:
            while not (self.passed(op) or self.times.cancelled[op] or self.stopped):
                sleep(0)  # leave the interpreter to others
            return
        for event in self._awaited[op]:
            event.synchronize()

    def until_signal(self, number: int) -> None:
        """Block the calling thread until a signal has been given, or the run stopped."""
        while not (self._signals[number] or self.stopped):
            sleep(0)

    def stop(self) -> None:
        """Open everything, streams included."""
        super().stop()
        self._signals[:] = 1
