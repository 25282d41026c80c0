"""Per-token decode latency over the run, thinned to what a screen can show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.schedule import Phase
from sim.timeline import Timeline

_MOST_POINTS = 200


def latency(timeline: Timeline) -> dict[str, Any]:
    """Seconds of the decode steps: the median, least and most of each bin of `per_point` consecutive ones.

    `x` is the number of the middle decode step of each bin, counted from 1 over the whole run. `quantiles_s` are the
    least step, each percentile from the first on, and the longest.
    """
    decode = decode_steps_s(timeline)
    per_point = max(1, -(-len(decode) // _MOST_POINTS))
    bins = [decode[at : at + per_point] for at in range(0, len(decode), per_point)]
    return {
        "per_point": per_point,
        "x": [i * per_point + (len(part) + 1) / 2 for i, part in enumerate(bins)],
        "median_s": [_short(np.median(part)) for part in bins],
        "least_s": [_short(part.min()) for part in bins],
        "most_s": [_short(part.max()) for part in bins],
        "quantiles_s": [_short(value) for value in np.quantile(decode, np.linspace(0, 1, 101))] if len(decode) else [],
    }


def decode_steps_s(timeline: Timeline) -> NDArray[np.float64]:
    """Seconds of each decode step, in order [decode step]: from the end of the step before to its own."""
    step_s = np.diff(timeline.step_end_s, prepend=0.0)
    return step_s[[step.phase == Phase.DECODE for step in timeline.schedule.steps]]


def _short(value: Any) -> float:
    return float(f"{value:.6g}")
