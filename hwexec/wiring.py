"""How a Schedule's dependencies are kept where some lanes are hardware streams and the others threads.

A stream waits for another stream by its events, and for a thread by a signal in host memory; a thread waits for a
stream by the event, and for another thread as on the host backend (`Graph`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwexec.graph import Graph, graph_of
from sim.errors import InputError
from sim.schedule import Kind, Schedule

GPU, COPIES = "gpu0", ("gpu0.h2d", "gpu0.d2h")


@dataclass(frozen=True)
class Wiring:
    """Per op: whose events and whose signals it awaits (`events`, `signals`: at most one op of each lane for events).

    `streams` are lanes that the GPU runs in order as they are dispatched; `queues` are the GPU's other lanes, each
    with a thread that hands over one op when the one before has ended. `signal_of` numbers the ops that give a signal.
    """

    streams: frozenset[int]
    queues: frozenset[int]
    graph: Graph
    events: list[tuple[int, ...]]
    signals: list[tuple[int, ...]]
    signal_of: dict[int, int]


def wiring_of(schedule: Schedule, *, blocking_copies: bool = False) -> Wiring:
    """Derive the wiring. A lane of the GPU is a queue if it chooses, if an op of it may be cancelled, or if copies
    block the thread that asks for them (pageable memory). Raises InputError for lanes of further GPUs.
    """
    on_gpu = _gpu_lanes(schedule)
    cancelled = _cancelled_lanes(schedule)
    queues = frozenset(
        number
        for number in on_gpu
        if schedule.lanes[number].discipline == "priority"
        or number in cancelled
        or (blocking_copies and schedule.lanes[number].name in COPIES)
    )
    streams = on_gpu - queues
    lanes, kinds = schedule.ops.lane.tolist(), schedule.ops.kind.tolist()
    offsets, deps = schedule.ops.deps.offsets.tolist(), schedule.ops.deps.values.tolist()
    events: list[tuple[int, ...]] = []
    signals: list[tuple[int, ...]] = []
    for op, lane in enumerate(lanes):
        needed = () if kinds[op] == Kind.CANCEL else deps[offsets[op] : offsets[op + 1]]
        last: dict[int, int] = {}
        for dep in needed:
            if lanes[dep] in streams and lanes[dep] != lane:
                last[lanes[dep]] = max(dep, last.get(lanes[dep], -1))
        events.append(tuple(sorted(last.values())))
        threads = {dep for dep in needed if lanes[dep] and lanes[dep] not in streams} if lane in streams else set()
        signals.append(tuple(sorted(threads)))
    givers = sorted({dep for awaited in signals for dep in awaited})
    return Wiring(streams, queues, graph_of(schedule, streams), events, signals, {op: i for i, op in enumerate(givers)})


def _gpu_lanes(schedule: Schedule) -> frozenset[int]:
    found = {number: lane.name for number, lane in enumerate(schedule.lanes) if lane.name.startswith("gpu")}
    for name in found.values():
        if name not in (GPU, *COPIES):
            raise InputError("runs schedules of one GPU", field="lane", value=name, remedy="plan for one GPU")
    return frozenset(found)


def _cancelled_lanes(schedule: Schedule) -> set[int]:
    ops = schedule.ops
    owner = np.repeat(ops.kind, np.diff(ops.deps.offsets))
    targets = ops.deps.values[owner == Kind.CANCEL]
    return set(ops.lane[targets].tolist())
