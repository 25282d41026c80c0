"""Rooflines fitted to the measured kernels, for shapes that were not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.machine import Roofline

_CALLS = 10  # library calls of the longest kernel, attention: its fixed cost against that of the quickest kernel
_FIXED = (0.5, 0.1, 0.001)  # shares of the shortest time to start the fit from: it has local minima


@dataclass(frozen=True)
class Measured:
    """One kernel point: what it needed and what it took."""

    device: str
    kind: str
    precision: str
    read_bytes: float
    flop: float
    seconds: float


def fit_rooflines(points: Sequence[Measured], source: str) -> list[Roofline]:
    """One roofline a device, kind and precision, with the median error of the fit in its source."""
    groups: dict[tuple[str, str, str], list[Measured]] = {}
    for point in points:
        groups.setdefault((point.device, point.kind, point.precision), []).append(point)
    most_fixed_s = _CALLS * min((point.seconds for point in points), default=0.0)
    return [_fit(group, most_fixed_s, source) for group in groups.values()]


def _fit(points: list[Measured], most_fixed_s: float, source: str) -> Roofline:
    """Least squares of logarithms over fixed seconds, seconds a byte and seconds a FLOP, all positive.

    The points of one shape all read its weights, which would pass for a fixed cost as well: hence a limit to that.
    """
    from scipy.optimize import least_squares

    read = np.array([p.read_bytes for p in points])
    flop = np.array([p.flop for p in points])
    seconds = np.array([p.seconds for p in points])

    def misfit(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        fixed, per_byte, per_flop = np.exp(logs)
        return np.asarray(np.log(fixed + np.maximum(read * per_byte, flop * per_flop)) - np.log(seconds))

    largest = np.array([np.log(max(most_fixed_s, seconds.min() * 1e-3)), np.inf, np.inf])
    starts = [
        np.log([min(seconds.min(), most_fixed_s) * share, (seconds / read).min(), (seconds / flop).min()])
        for share in _FIXED
    ]
    fitted = min(
        (least_squares(misfit, start, bounds=(-np.inf, largest), loss="soft_l1", f_scale=0.1) for start in starts),
        key=lambda fit: fit.cost,
    )
    fixed, per_byte, per_flop = np.exp(fitted.x)
    off = np.abs(misfit(fitted.x))
    error = float(np.median(np.expm1(off)))
    first = points[0]
    return Roofline(
        device=first.device,
        kind=first.kind,  # type: ignore[arg-type]  # the kinds of compute ops
        precision=first.precision,
        bytes_per_s=1 / per_byte,
        flop_per_s=1 / per_flop,
        fixed_s=fixed,
        spread=2 * float(np.sinh(np.median(off))),  # half of the points lie so far off, either way
        source=f"{source}; roofline fitted to {len(points)} points, median error {error:.1%}",
    )
