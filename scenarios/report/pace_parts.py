"""What the time of a run is made of: its critical path by cause, and what keeps it from the physical limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from scenarios.report.causes import MEANINGS, paint
from sim.critical_path import Cause, Path
from sim.gap import Gap

VISIBLE = 5e-4  # share of a run below which a part is not drawn
LIMIT = "limit"


class Part(NamedTuple):
    """Some seconds of a run: what they go to, in which colour that is shown, and what it means."""

    key: str
    label: str
    paint: str
    meaning: str
    seconds: float


_GAP = {
    LIMIT: ("the limit", "var(--ink-3)", "No strategy with as many experts on the GPU takes less."),
    "policy": (
        "policy",
        "var(--p-demand-load)",
        "Other experts on the GPU, or another split with the CPU, would save this.",
    ),
    "prediction": ("prediction", "var(--p-wasted-prefetch)", "Prefetches that nobody used."),
    "overlap": ("overlap", "var(--p-sharing)", "GPU, CPU and link wait for each other."),
    "dispatch": ("dispatch", "var(--p-dispatch)", "The host's software, and waking up."),
}


def path_parts(path: Path) -> list[Part]:
    """The critical path by cause, those causes that can be seen, in their own order; `key` is the cause's number."""
    sums = np.bincount(path.cause, path.segment_s, len(Cause))
    return [
        Part(str(int(cause)), cause.label, paint(cause), MEANINGS[cause], float(sums[cause]))
        for cause in Cause
        if sums[cause] >= VISIBLE * path.length_s
    ]


def gap_parts(gap: Gap) -> list[Part]:
    """The limit, and then what lies between it and the run."""
    spent = {LIMIT: gap.limit_s, **gap.parts}
    return [Part(name, *told, spent[name]) for name, told in _GAP.items()]


def union(of: Iterable[Sequence[Part]]) -> list[Part]:
    """For a legend: each part that takes time in one of some runs, once, in the order of parts."""
    runs = list(of)
    keys = [key for key in _ORDER if any(part.key == key and part.seconds > 0 for parts in runs for part in parts)]
    return [next(part for parts in runs for part in parts if part.key == key) for key in keys]


_ORDER = [*_GAP, *(str(int(cause)) for cause in Cause)]
