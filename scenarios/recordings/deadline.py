"""The time that a campaign has, and what a next step will probably take of it."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter


class Deadline:
    """Counts from when it is made. `keep_s` of the budget are for what comes last."""

    def __init__(self, budget_s: float, keep_s: float, clock: Callable[[], float] = perf_counter) -> None:
        self._clock, self._until = clock, clock() + budget_s - keep_s
        self._overheads: list[float] = []
        self._ratios: list[float] = []

    @property
    def left_s(self) -> float:
        """Seconds until the last things must begin."""
        return self._until - self._clock()

    def expects(self, predicted_s: float) -> float:
        """Seconds for work predicted to take so long, by how earlier work compared with its prediction."""
        ratio = median(self._ratios) if self._ratios else 1.5
        return ratio * predicted_s + (median(self._overheads) if self._overheads else 1.0)

    def learn(self, predicted_s: float, worked_s: float, took_s: float) -> None:
        """So long was predicted, so long the work itself took, and so long all of it."""
        if predicted_s > 0:
            self._ratios.append(worked_s / predicted_s)
        self._overheads.append(max(0.0, took_s - worked_s))

    def allows(self, predicted_s: float) -> bool:
        """Whether work is likely to end in time."""
        return self.expects(predicted_s) <= self.left_s
