"""What a sweep will take: its points and plans counted, and two of them tried."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.sweeping.evaluate import evaluate
from scenarios.sweeping.load import Sweep
from scenarios.sweeping.points import Choices, Chunk, plans
from scenarios.sweeping.run import points_of


@dataclass(frozen=True)
class Estimate:
    """Points, rows and plans of a sweep, and the seconds of work that they will roughly be, for one core."""

    points: int
    rows: int
    plans: int
    seconds: float


def estimate(sweep: Sweep) -> Estimate:
    """Count a sweep's points and plans and time a few of each, here and now; a search counts as a random choice."""
    points, n = points_of(sweep), sweep.n_strategies
    groups = list(plans(sweep.axes, points).values())
    _seconds(sweep, groups[0][0], points)  # what is read, drawn and compiled only once
    planned_s = _seconds(sweep, groups[-1][0], points)
    again = next((group for group in groups if len(group) > 1), None)
    if again is None:
        return Estimate(len(points), len(points) * n, len(groups) * n, planned_s * len(points))
    _seconds(sweep, again[0], points)
    timed_s = _seconds(sweep, again[-1], points)
    more_s = max(planned_s - timed_s, 0.0) * len(groups)
    return Estimate(len(points), len(points) * n, len(groups) * n, more_s + timed_s * len(points))


def _seconds(sweep: Sweep, point: int, points: Sequence[Choices]) -> float:
    begin = time.perf_counter()
    evaluate(sweep.ground, Chunk((point,), (points[point],)))
    return time.perf_counter() - begin
