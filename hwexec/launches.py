"""How each op of a stream is launched: by itself, or with the run of ops that it belongs to, as one captured graph."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch

from hwexec.backend import Task
from hwexec.cuda_state import Marks
from hwexec.device import Device, Event, Stream
from hwexec.wiring import Wiring
from sim.schedule import Schedule

MOST_GRAPHS = 512  # captured runs of one schedule, in the order of the program; what comes after is launched op by op


def launches_of(
    schedule: Schedule, wiring: Wiring, device: Device, streams: Mapping[int, Stream], tasks: list[Task | None],
    marks: Marks,
) -> dict[int, Task]:  # fmt: skip
    """Every op of a stream launched by itself, between its two events."""
    launches: dict[int, Task] = {}
    for op, lane in enumerate(schedule.ops.lane.tolist()):
        task = tasks[op]
        if lane in wiring.streams and task is not None:
            launches[op] = partial(_launch, device, streams[lane], task, marks[op])
    return launches


def capture_runs(
    schedule: Schedule, wiring: Wiring, device: Device, streams: Mapping[int, Stream], tasks: list[Task | None],
    marks: Marks, launches: dict[int, Task],
) -> int:  # fmt: skip
    """Put graphs in place of single launches, and the events that they record in place of the ops' own; how many.

    The last op of a run launches the graph and keeps its own end, which others may wait for; those before it launch
    nothing. A graph records events, and so is of one run only, however alike two of them are.
    """
    runs = runs_of(schedule, wiring)[:MOST_GRAPHS]
    for run in runs:
        stream = streams[int(schedule.ops.lane[run[0]])]
        parts: list[Task] = []
        for op in run:
            task = tasks[op]
            assert task is not None  # an op of a stream has one
            end = marks[op][1] if op == run[-1] else _ready(device, stream)
            marks[op] = (_ready(device, stream), end)
            parts += [partial(marks[op][0].record, stream), task]
            if op != run[-1]:
                parts.append(partial(end.record, stream))
            launches[op] = _nothing
        with torch.inference_mode():
            graph = device.capture(stream, parts)
        launches[run[-1]] = partial(_launch_graph, device, stream, graph, marks[run[-1]][1])
    return len(runs)


def runs_of(schedule: Schedule, wiring: Wiring) -> list[list[int]]:
    """Longest runs of at least two ops that follow each other in the program on one stream.

    Only the first may wait for somebody, which its stream does before the graph is launched, and only for the last
    may somebody wait.
    """
    runs: list[list[int]] = [[]]
    lanes = schedule.ops.lane.tolist()
    awaited = {dep for events in wiring.events for dep in events}
    for op, lane in enumerate(lanes):
        before = runs[-1][-1] if runs[-1] else None
        waits = bool(wiring.events[op] or wiring.signals[op])
        if lane not in wiring.streams or waits or before in awaited or (before is not None and lanes[before] != lane):
            runs.append([])
        if lane in wiring.streams:
            runs[-1].append(op)
    return [run for run in runs if len(run) > 1]


def _ready(device: Device, stream: Stream) -> Event:
    event = device.new_capture_event()
    event.record(stream)  # brings it into being, which a capture may not
    return event


def _launch(device: Device, stream: Stream, task: Task, marks: tuple[Event, Event]) -> None:
    marks[0].record(stream)
    device.run(stream, task)
    marks[1].record(stream)


def _launch_graph(device: Device, stream: Stream, graph: Task, end: Event) -> None:
    device.run(stream, graph)
    end.record(stream)


def _nothing() -> None:
    pass
