"""Marks on axes: shares in percent, and logarithms."""

from __future__ import annotations

from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator


def percents(axis: Axis) -> None:
    """Mark shares in percent; the axis's label has the sign."""
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}".replace("-", "−")))


def logarithmic(axis: Axis, low: float, high: float) -> None:
    """Mark an axis from `low` to `high` at 1, 2 and 5 of each decade, or at decades only where that is many."""
    steps = (1.0,) if high > 300 * low else (1.0, 3.0) if high > 30 * low else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=steps, numticks=20))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}".replace(",", "\u2009")))
