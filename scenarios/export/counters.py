"""Counters over a run: what crosses the links, what waits for them, and which expert slots are in use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.export.tracks import nanoseconds
from sim.critical_path import TRANSFERS
from sim.schedule import Kind
from sim.stays import stays
from sim.timeline import Timeline


@dataclass(frozen=True)
class Counter:
    """A value from each moment on, [change] arrays, moments increasing; viewers call it `name` and `series`."""

    name: str
    series: str
    at_ns: NDArray[np.int64]
    value: NDArray[np.float64]


def counters_of(timeline: Timeline) -> Iterator[Counter]:
    """Of each lane with transfers, their rate and how many wait; expert slots in use, filled, and to be filled.

    A rate is the mean over its op. An op waits from its dispatch to its start, be it for its lane or for other ops. A
    slot is in use as in `sim.stays`, and its expert is resident once the load has ended. A load is under way from
    its dispatch to its end.
    """
    schedule, times = timeline.schedule, timeline.times
    ops = schedule.ops
    dispatched, start, end = (nanoseconds(each) for each in (times.dispatched_s, times.start_s, times.end_s))
    moves = np.isin(ops.kind, TRANSFERS) & ~times.cancelled
    for number, lane in enumerate(schedule.lanes):
        mine = np.flatnonzero(moves & (ops.lane == number))
        if not len(mine):
            continue
        rate = ops.size_bytes[mine] / np.maximum(end[mine] - start[mine], 1)  # bytes a nanosecond
        yield _counter(f"{lane.name} rate", "GB/s", start[mine], end[mine], rate)
        yield _counter(f"{lane.name} queue", "ops", dispatched[mine], start[mine])
    held = stays(timeline)
    loads = np.flatnonzero((ops.kind == Kind.LOAD) & (ops.slot >= 0) & ~times.cancelled)
    if len(held.expert):
        until = nanoseconds(held.until_s)
        yield _counter("expert slots", "in use", nanoseconds(held.asked_s), until)
        yield _counter("experts", "resident", nanoseconds(held.whole_s), until)
    if len(loads):
        yield _counter("expert loads", "under way", dispatched[loads], end[loads])


def _counter(
    name: str, series: str, begin: NDArray[np.int64], end: NDArray[np.int64], weight: NDArray[np.float64] | None = None
) -> Counter:
    """The sum of the weights, 1 each by default, of those that have begun and not ended."""
    weights = np.ones(len(begin)) if weight is None else weight
    moment = np.concatenate([begin, end])
    at_ns, which = np.unique(moment, return_inverse=True)
    number = np.bincount(which, np.repeat([1.0, -1.0], len(begin)), len(at_ns)).cumsum()
    total = np.bincount(which, np.concatenate([weights, -weights]), len(at_ns)).cumsum()
    value = np.where(np.rint(number) == 0, 0.0, total)  # without what adding and taking away leaves
    kept = np.append(True, ~np.isclose(value[1:], value[:-1], rtol=1e-9, atol=0))
    return Counter(name, series, at_ns[kept], value[kept])
