"""The scale of comparison bars: linear, or logarithmic where a linear one would hide the short bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

_LOG_FROM = 50.0  # ratio of the longest bar to the shortest


@dataclass(frozen=True)
class Axis:
    """A scale from 0 to `top`, or if `log` from `floor`, a power of ten, to `top`."""

    top: float
    floor: float = 0.0
    log: bool = False

    def share(self, value: float) -> float:
        """How much of the axis a bar covers, 0 to 1."""
        if self.log:
            low, high = log10(self.floor), log10(self.top)
            return min(1.0, (log10(max(value, self.floor)) - low) / (high - low))
        return min(1.0, value / self.top) if self.top else 0.0

    @property
    def decades(self) -> list[float]:
        """Where a logarithmic axis has its marks."""
        if not self.log:
            return []
        return [10.0**exponent for exponent in range(round(log10(self.floor)), floor(log10(self.top)) + 1)]


def axis_for(values: Sequence[float]) -> Axis:
    """The axis on which bars of these lengths can be told apart."""
    positive = [value for value in values if value > 0]
    top = max(positive, default=0.0)
    if not positive or top < _LOG_FROM * min(positive):
        return Axis(top)
    return Axis(top, 10.0 ** floor(log10(min(positive) / 1.2)), log=True)  # so that the shortest can be seen
