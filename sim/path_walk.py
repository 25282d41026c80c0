"""Walking a Timeline backwards, from the op that ends last to the start, along what each op waited for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.compiler import has_compiler
from sim.cost import Costs
from sim.releases import NOTHING, before_on_lane, last_dependency
from sim.schedule import Kind, Reason
from sim.timeline import Timeline

_NOT_URGENT = (Reason.PREFETCH, Reason.SWAP, Reason.PLACEMENT)
_ALWAYS = float("inf")


class Part(IntEnum):
    """What an op does, or what is done for it, in a segment of the path."""

    WORK = 0
    SHARING = 1  # beyond what it takes at full speed
    DISPATCH = 2
    SYNCHRONISATION = 3
    WAKE_UP = 4
    GAP = 5


@dataclass(frozen=True)
class Walked:
    """Segments in order of time, each beginning where the one before ends.

    `held_up_s` [window, (begin, end)], in order of time too: when an op of the path was ready, and the queue of its
    lane kept it: the lane stood idle for the sake of one ahead of it, or moved weights that were not needed yet.
    """

    op: NDArray[np.intp]
    part: NDArray[np.uint8]
    begin_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    held_up_s: NDArray[np.float64]


def walk(timeline: Timeline, costs: Costs | None) -> Walked:
    """Walk the whole way; see `sim.critical_path.critical_path` for the rules."""
    if not len(timeline.times):
        nothing = np.empty(0)
        return Walked(nothing.astype(np.intp), nothing.astype(np.uint8), nothing, nothing, nothing.reshape(0, 2))
    columns = _columns(timeline, costs)
    last, n, most = int(timeline.times.end_s.argmax()), -1, 4 * len(timeline.times) + 16
    while n < 0:  # there are hardly ever more segments
        n, m, segments, windows = _walked(last, timeline.makespan_s, columns, most)
        most *= 2
    op, part, begin_s, end_s = (column[:n][::-1] for column in segments)
    held_up_s = np.stack([column[:m][::-1] for column in windows], axis=1)
    return Walked(op.astype(np.intp), part.astype(np.uint8), begin_s, end_s, held_up_s)


def _walked(last: int, now: float, given: list[Any], most: int) -> Any:
    """`walk_back` with room for `most` segments: on arrays, or in plain Python on lists, which it is quicker with."""
    from sim.path_steps import walk_back  # with Numba, which not everybody who imports this module needs

    segments: Any = tuple(np.empty(most, dtype) for dtype in (np.int64, np.int64, np.float64, np.float64))
    windows: Any = (np.empty(most), np.empty(most))
    if not has_compiler():
        given = [column.tolist() for column in given]
        segments, windows = (tuple(column.tolist() for column in columns) for columns in (segments, windows))
    arguments: Any = (last, now, *given, segments, windows)
    n, m = walk_back(*arguments)
    return n, m, tuple(map(np.asarray, segments)), tuple(map(np.asarray, windows))


def _columns(timeline: Timeline, costs: Costs | None) -> list[Any]:
    """What `walk_back` is given of each op."""
    schedule, times = timeline.schedule, timeline.times
    ops, n, simulated = schedule.ops, len(times), timeline.source == "simulated"
    dep, dep_end = last_dependency(timeline)
    moves = np.isin(ops.kind, (Kind.LOAD, Kind.UNLOAD))
    on_host = np.where(ops.lane == 0, np.arange(n), NOTHING)
    host_before = np.concatenate(([NOTHING], np.maximum.accumulate(on_host)[:-1]))
    full = costs.duration_s if costs is not None and simulated else np.full(n, _ALWAYS)
    wake = costs.handoff_s if costs is not None else np.full(n, _ALWAYS if simulated else 0.0)
    return [
        ops.kind, dep, dep_end, times.dispatched_s, times.start_s, times.end_s,
        ~(moves & np.isin(ops.reason, _NOT_URGENT)), before_on_lane(timeline), host_before,
        _cancelled_by(timeline), full, wake,
    ]  # fmt: skip


def _cancelled_by(timeline: Timeline) -> NDArray[np.int64]:
    """The cancel that each op was withdrawn by (NOTHING: none): the first of those meant for it."""
    ops = timeline.schedule.ops
    cancels = np.flatnonzero(ops.kind == Kind.CANCEL)[::-1]
    targets = ops.deps.values[ops.deps.offsets[cancels]]
    by = np.full(len(ops), NOTHING, np.int64)
    by[targets] = cancels  # of several for one target, the last assigned stays: the first cancel
    by[~timeline.times.cancelled] = NOTHING
    return by
