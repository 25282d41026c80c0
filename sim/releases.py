"""Releases: what each op of a Timeline, simulated or measured, waited for last before it started."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sim.timeline import Timeline

NOTHING = -1
_NEVER = float("-inf")


class Release(IntEnum):
    """What let an op start."""

    DEPENDENCY = 0  # the last of its dependencies ended
    DISPATCH = 1  # the host handed it over
    QUEUE = 2  # its lane was done with what was ahead of it


@dataclass(frozen=True)
class Releases:
    """How each op was released, and by which op: arrays [op]. `op` is NOTHING for what the host released."""

    how: NDArray[np.uint8]
    op: NDArray[np.intp]


def releases(timeline: Timeline) -> Releases:
    """Of what an op waited for, that which came last; at one instant a dependency goes before dispatch and queue."""
    times = timeline.times
    dep, dep_end_s = last_dependency(timeline)
    before = before_on_lane(timeline)
    free_s = np.where(before >= 0, times.end_s[before], _NEVER)
    own_turn = (before < np.arange(len(before))) | (times.start_s[before] < free_s)
    queued = (np.maximum(dep_end_s, times.dispatched_s) < free_s) & own_turn
    handed_over = ~queued & (dep_end_s < times.dispatched_s)
    how = np.full(len(before), Release.DEPENDENCY, np.uint8)
    how[queued], how[handed_over] = Release.QUEUE, Release.DISPATCH
    return Releases(how, np.where(queued, before, np.where(handed_over, NOTHING, dep)))


def last_dependency(timeline: Timeline) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The dependency of each op that ends last, and when: NOTHING and minus infinity if it has none."""
    deps, end_s = timeline.schedule.ops.deps, timeline.times.end_s
    last, last_s = np.full(len(deps), NOTHING, np.intp), np.full(len(deps), _NEVER)
    some = np.flatnonzero(np.diff(deps.offsets))
    if len(some):
        begins, counts = deps.offsets[some], np.diff(deps.offsets)[some]
        last_s[some] = np.maximum.reduceat(end_s[deps.values], begins)
        latest = end_s[deps.values] == np.repeat(last_s[some], counts)
        last[some] = np.maximum.reduceat(np.where(latest, deps.values, NOTHING), begins)
    return last, last_s


def before_on_lane(timeline: Timeline) -> NDArray[np.intp]:
    """The op that each op finds ahead of it on its lane (NOTHING: none): in a fifo by issue, else by time.

    Of a fifo it is the one that ends last of all issued before: an op withdrawn in the middle of a queue is not. By
    priority it is one that takes time: no other ever keeps anybody. The host's order is that of dispatching, and its
    ops have none.
    """
    ops, times = timeline.schedule.ops, timeline.times
    before = np.full(len(ops), NOTHING, np.intp)
    for number, lane in enumerate(timeline.schedule.lanes):
        mine = np.flatnonzero(ops.lane == number)
        if number == 0 or not len(mine):
            continue
        if lane.discipline == "priority":
            mine = mine[np.lexsort((times.end_s[mine], times.start_s[mine]))]
            counts = times.end_s[mine] > times.start_s[mine]
        else:
            counts = times.end_s[mine] == np.maximum.accumulate(times.end_s[mine])
        latest = np.maximum.accumulate(np.where(counts, np.arange(len(mine)), NOTHING))
        before[mine[1:]] = np.where(latest[:-1] >= 0, mine[latest[:-1]], NOTHING)
    return before
