"""What share of a run each of its lanes is busy, and what with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.report.categories import busy_s
from scenarios.report.ranking import Entry

_VISIBLE = 5e-4  # share of a run below which a lane or a segment is not drawn


@dataclass(frozen=True)
class LaneShares:
    """Of each entry, by the name of a lane: shares of the run [category]; `lanes` are those that some run uses."""

    lanes: tuple[str, ...]
    shares: tuple[dict[str, NDArray[np.float64]], ...]

    @property
    def seen(self) -> list[int]:
        """The categories that are drawn anywhere."""
        return sorted({code for each in self.shares for lane in self.lanes for code in segments(each.get(lane))})


def lane_shares(entries: Sequence[Entry]) -> LaneShares:
    """Of runs whose ops were kept."""
    shares = tuple(_shares(entry) for entry in entries)
    names = dict.fromkeys(name for each in shares for name in each)
    used = (name for name in names if any(name in each and each[name].sum() >= _VISIBLE for each in shares))
    return LaneShares(tuple(used), shares)


def segments(shares: NDArray[np.float64] | None) -> list[int]:
    """Those categories that are drawn; none for a lane that a run does not have."""
    return [] if shares is None else np.flatnonzero(shares >= _VISIBLE).tolist()


def _shares(entry: Entry) -> dict[str, NDArray[np.float64]]:
    timeline = entry.run.timeline
    total_s = timeline.makespan_s or 1.0
    names = [lane.name for lane in timeline.schedule.lanes]
    return dict(zip(names, busy_s(timeline) / total_s, strict=True))
