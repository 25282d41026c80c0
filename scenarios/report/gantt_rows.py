"""Rows of the Gantt: the ops of a Timeline, each op's dispatch on the host lane, and what each waited for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.report.categories import DISPATCH, categories_of
from sim.releases import NOTHING, Release, Releases, releases
from sim.timeline import Timeline

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """All that can be drawn of a Timeline, arrays [row]: ops that take time, in issue order, and their dispatches.

    A row started when row `by` ended (NOTHING: none is known), `how` tells which way: a Release.
    """

    op: Numbers
    lane: Numbers
    category: Numbers
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    how: Numbers
    by: Numbers

    def __len__(self) -> int:
        return len(self.op)

    @property
    def dispatches(self) -> NDArray[np.bool_]:
        """Which rows are dispatches."""
        found: NDArray[np.bool_] = self.category == DISPATCH
        return found


def rows_of(timeline: Timeline) -> Rows:
    """Ops and dispatches of a whole timeline."""
    ops, times = timeline.schedule.ops, timeline.times
    numbers, n = np.arange(len(ops)), len(ops)
    start = np.concatenate([times.start_s, timeline.dispatch_start_s])
    end = np.concatenate([times.end_s, times.dispatched_s])
    lane = np.concatenate([ops.lane.astype(np.int64), np.zeros(n, np.int64)])
    category = np.concatenate([categories_of(timeline), np.full(n, DISPATCH)])
    op = np.concatenate([numbers, numbers])
    how, by = _released(timeline, releases(timeline))
    order = np.argsort(op, kind="stable")
    order = order[end[order] > start[order]]
    by = _renumbered(_drawn(by, end > start)[order], order, 2 * n)
    return Rows(op[order], lane[order], category[order], start[order], end[order], how[order], by)


def _released(timeline: Timeline, found: Releases) -> tuple[Numbers, Numbers]:
    """How and by what ops, and then their dispatches, were released; dispatches are numbered after all ops."""
    ops, n = timeline.schedule.ops, len(found.op)
    numbers = np.arange(n)
    by_op = np.where(found.how == Release.DISPATCH, n + numbers, found.op)
    before = np.where(ops.lane == 0, numbers, n + numbers)  # the host's last doing when it turns to the next op
    by_dispatch = np.concatenate(([NOTHING], before[:-1])) if n else before
    how = np.concatenate([found.how.astype(np.int64), np.full(n, Release.QUEUE, np.int64)])
    return how, np.concatenate([by_op, by_dispatch])


def _drawn(by: Numbers, drawn: NDArray[np.bool_]) -> Numbers:
    """The same through those that take no time, and are not drawn: what released these did."""
    jump = np.append(np.where(drawn, np.arange(len(by)), by), NOTHING)  # the last stands for NOTHING
    while not np.array_equal(further := jump[jump], jump):
        jump = further
    return jump[by]


def _renumbered(targets: Numbers, order: Numbers, n: int) -> Numbers:
    """Row numbers of what had others before some rows were left out."""
    number = np.full(n + 1, NOTHING)
    number[order] = np.arange(len(order))
    return number[targets]
