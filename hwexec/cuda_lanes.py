"""The threads behind the GPU's software queues, and how an op of the GPU is given to a stream."""

from __future__ import annotations

from heapq import heappop, heappush
from time import sleep

from hwexec.backend import Task
from hwexec.cuda_state import CudaState
from hwexec.device import Device, Event, Stream
from hwexec.host_lanes import LaneThread


def held(device: Device, stream: Stream, task: Task, marks: tuple[Event, Event]) -> Task:
    """The op of a queue: its work between two events, and its thread held until the second has happened."""
    start, end = marks

    def run() -> None:
        start.record(stream)
        device.run(stream, task)
        end.record(stream)
        end.synchronize()

    return run


class QueueThread(LaneThread):
    """Hands over the lowest priority number among the ready, then the first issued, as soon as the link is idle.

    An op whose last need is an event of the GPU is asked about again and again, for nobody tells.
    """

    state: CudaState

    def work(self) -> None:
        """Gather what has been dispatched, see what has become ready, run the first of it, gather again."""
        state, arrivals = self.state, self.state.queues[self.number]
        pending: list[tuple[int, int]] = []
        ready: list[tuple[int, int]] = []
        for _ in self.ops:
            if not (ready or pending):
                pending.append(arrivals.get())
            while True:
                while not arrivals.empty():
                    pending.append(arrivals.get())
                if state.stopped:
                    return
                pending = self._sort(pending, ready)
                if ready:
                    break
                sleep(0)  # leave the interpreter to others
            self.execute(heappop(ready)[1])

    def _sort(self, pending: list[tuple[int, int]], ready: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Move what is ready; returns what is not."""
        left = []
        for each in pending:
            if self.state.passed(each[1]) or self.state.times.cancelled[each[1]]:
                heappush(ready, each)
            else:
                left.append(each)
        return left
