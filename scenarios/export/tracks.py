"""Tracks of a trace: which slices stand on which, in whole nanoseconds, so that slices of one track never overlap."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.report.categories import DISPATCH, categories_of
from sim.schedule import Phase, Schedule, numbers_in_phase
from sim.timeline import Timeline

STEPS, CRITICAL_PATH, FIRST_LANE = 2, 3, 4  # numbers of the tracks; the process has 1


@dataclass(frozen=True)
class Slices:
    """Ops and dispatches, [slice] arrays, by track and then by start; `category` is an index of CATEGORIES.

    `lane` is the one whose time they are, `track` where they are drawn: tracks beyond the last lane's take what
    overlaps on a lane, as may happen in what was measured; `extra` has the lane of each of these.
    """

    op: NDArray[np.int64]
    lane: NDArray[np.int64]
    category: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    track: NDArray[np.int64]
    extra: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.op)


def nanoseconds(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rounded moments; what ends when another begins still does."""
    return np.rint(seconds * 1e9).astype(np.int64)


def slices_of(timeline: Timeline) -> Slices:
    """All that a timeline's lanes did: its ops, and their dispatches unless these take no time."""
    ops, times = timeline.schedule.ops, timeline.times
    numbers, n = np.arange(len(ops)), len(ops)
    op = np.concatenate([numbers, numbers])
    lane = np.concatenate([ops.lane.astype(np.int64), np.zeros(n, np.int64)])
    category = np.concatenate([categories_of(timeline), np.full(n, DISPATCH)])
    start = nanoseconds(np.concatenate([times.start_s, timeline.dispatch_start_s]))
    end = nanoseconds(np.concatenate([times.end_s, times.dispatched_s]))
    track, extra = _laid_out(lane, start, end, len(timeline.schedule.lanes))
    order = np.lexsort((op, start, track))
    order = order[(category[order] != DISPATCH) | (end[order] > start[order])]
    op, lane, category, start, end, track = (each[order] for each in (op, lane, category, start, end, track))
    return Slices(op, lane, category, start, end, track, extra)


def step_names(schedule: Schedule) -> list[str]:
    """Prefill, decode 1, decode 2, …; prefills are numbered where there are several."""
    total = [sum(step.phase == phase for step in schedule.steps) for phase in Phase]
    names = []
    for step, number in zip(schedule.steps, numbers_in_phase(schedule), strict=True):
        numbered = step.phase == Phase.DECODE or total[step.phase] > 1
        names.append(f"{step.phase.name.lower()} {number}" if numbered else step.phase.name.lower())
    return names


def _laid_out(
    lane: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64], n_lanes: int
) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """The track of each slice: its lane's, unless that is taken; and the lanes of the further tracks."""
    track = FIRST_LANE + lane
    extra: list[int] = []
    for number in range(n_lanes):
        mine = np.flatnonzero((lane == number) & (end > start))
        mine = mine[np.argsort(start[mine], kind="stable")]
        if (start[mine[1:]] >= end[mine[:-1]]).all():
            continue
        place = _places(start[mine].tolist(), end[mine].tolist())
        further = place > 0
        track[mine[further]] = FIRST_LANE + n_lanes + len(extra) + place[further] - 1
        extra += [number] * int(place.max())
    return track, tuple(extra)


def _places(starts: list[int], ends: list[int]) -> NDArray[np.int64]:
    """The first of as few places as possible at which each of some slices, in order of their starts, fits."""
    free: list[int] = []  # places
    busy: list[tuple[int, int]] = []  # (until when, place)
    place = np.empty(len(starts), np.int64)
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        place[number] = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (end, int(place[number])))
    return place
