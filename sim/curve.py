"""Reading a measured curve between and beyond its points."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.machine import Curve


@dataclass(frozen=True)
class Reading:
    """Seconds read off a curve; `beyond` if no measurement surrounds the point; `spread` of the nearest one."""

    seconds: float
    beyond: bool
    spread: float = 0.0


def read_curve(curve: Curve, x: float) -> Reading:
    """Linear between points, which is exact for a fixed cost plus a rate.

    Below the first point its seconds stand (a fixed cost), above the last the slope of the last segment goes on,
    or, for a single point, proportion.
    """
    xs, ys, spread = curve.x, curve.seconds, curve.spread or (0.0,) * len(curve.x)
    if x <= xs[0]:
        return Reading(ys[0], x < xs[0], spread[0])
    if x >= xs[-1]:
        if len(xs) == 1:
            return Reading(ys[0] * x / xs[0], x > xs[0], spread[0])
        slope = max(0.0, (ys[-1] - ys[-2]) / (xs[-1] - xs[-2]))
        return Reading(ys[-1] + slope * (x - xs[-1]), x > xs[-1], spread[-1])
    i = bisect_right(xs, x)
    share = (x - xs[i - 1]) / (xs[i] - xs[i - 1])
    return Reading(ys[i - 1] + share * (ys[i] - ys[i - 1]), False, spread[i - (share < 0.5)])


def read_points(curve: Curve, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds and spreads at many points, as `read_curve` gives them one by one."""
    xs, ys, spread = np.array(curve.x), np.array(curve.seconds), np.array(curve.spread or (0.0,) * len(curve.x))
    if len(xs) == 1:
        return np.where(x <= xs[0], ys[0], ys[0] * x / xs[0]), np.full(len(x), spread[0])
    i = np.clip(np.searchsorted(xs, x, side="right"), 1, len(xs) - 1)
    share = (x - xs[i - 1]) / (xs[i] - xs[i - 1])
    inside = ys[i - 1] + share * (ys[i] - ys[i - 1])
    slope = max(0.0, (ys[-1] - ys[-2]) / (xs[-1] - xs[-2]))
    low, high = x <= xs[0], x >= xs[-1]
    seconds = np.where(low, ys[0], np.where(high, ys[-1] + slope * (x - xs[-1]), inside))
    return seconds, np.where(low, spread[0], np.where(high, spread[-1], spread[i - (share < 0.5)]))
