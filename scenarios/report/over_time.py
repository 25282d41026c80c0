"""Cache, links and devices over the run, step by step, thinned to what a screen can show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.report.lane_names import short_name
from scenarios.report.ranking import Entry
from sim.over_time import OverTime, over_time
from sim.program import CPU, GPU, H2D
from sim.schedule import Phase, Reason
from sim.timeline import Timeline

_MOST_POINTS = 120  # of one run and phase; more would only show how steps differ by chance
_POINT_BUDGET = 2000  # of all runs together in one phase: 0.1 MB
_FEWEST_POINTS = 30
_LANES = (GPU, H2D, CPU)
_ASKED = {
    Reason.DEMAND: "on demand",
    Reason.STREAM: "streamed",
    Reason.PREFETCH: "prefetched",
    Reason.SWAP: "swapped in",
    Reason.PLACEMENT: "placed",
}


def over_time_data(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """For each entry, its steps by phase (`prefill`, `decode`), in order: columns of what `sim.over_time` says."""
    most = max(_FEWEST_POINTS, min(_MOST_POINTS, _POINT_BUDGET // max(1, len(entries))))
    return [
        {
            phase.name.lower(): _columns(entry.run.timeline, over_time(entry.run.timeline, phase), most)
            for phase in Phase
        }
        for entry in entries
    ]


def _columns(timeline: Timeline, steps: OverTime, most: int) -> dict[str, Any]:
    """`x`: number of the middle step of each point, from 1 within the phase; `loaded_gb`: means of a step."""
    points = steps.binned(most)
    lanes, busy = timeline.schedule.lane_index, np.minimum(points.busy, 1.0)  # measured ops may overlap by a little
    loaded_gb = points.loaded_bytes / points.steps[:, None] / 1e9
    return {
        "per_point": int(points.steps.max(initial=0)),
        "x": (np.cumsum(points.steps) - (points.steps - 1) / 2).tolist(),
        "uses": points.uses.tolist(),
        "hits": points.hits.tolist(),
        "loaded_gb": {
            _ASKED.get(reason, reason.name.lower()): _short(loaded_gb[:, reason])
            for reason in Reason
            if points.loaded_bytes[:, reason].any()
        },
        "busy": {short_name(lane): _short(busy[:, lanes[lane]]) for lane in _LANES if lane in lanes},
    }


def _short(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.4g}") for value in values.tolist()]
