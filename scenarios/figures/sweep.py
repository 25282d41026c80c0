"""Figures of a sweep: two objectives against each other with their front, and the best runs on a map of two axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from scenarios.explore.figures import HEADINGS
from scenarios.explore.table import SweepTable
from scenarios.figures.legend import legend_above
from scenarios.figures.scales import logarithmic, percents
from scenarios.figures.style import INK, NARROW, blank, colour, plain, styled
from scenarios.report.palette import STRATEGIES
from scenarios.sweeping.figures import FIGURES
from scenarios.sweeping.pareto import undominated

_HEIGHT_IN = 2.4
_LOG_FROM = 50.0  # ratio of the largest value to the smallest
_MANY = 2000  # points from which they are drawn smaller, and in vector files as an image


@styled
def pareto(table: SweepTable) -> Figure | None:
    """All runs by the sweep's first two objectives, and the front of those that are feasible.

    None if no run has both figures. Hollow: runs that do not meet the constraints.
    """
    across, up = _objectives(table)
    values = np.column_stack([column(table, name) for name in (across, up)])
    there = ~np.isnan(values).any(axis=1)
    if not there.any():
        return None
    strategies = np.array(table.columns["strategy"], object)
    names = list(dict.fromkeys(strategies[there].tolist()))
    figure = blank(NARROW, 1)
    figure.set_size_inches(NARROW, _HEIGHT_IN + legend_above(figure, _legend(names)))
    axes = figure.subplots()
    for number, name in enumerate(names):
        _points(axes, values, there & (strategies == name), feasible(table), number)
    front = front_of(values, there & feasible(table), [_better(table, name) for name in (across, up)])
    where = "steps-post" if _better(table, across) == "lower" else "steps-pre"
    axes.plot(values[front, 0], values[front, 1], color=INK, linewidth=0.9, drawstyle=where)
    for axis, name, of in ((axes.xaxis, across, values[there, 0]), (axes.yaxis, up, values[there, 1])):
        _scale(axes, axis, name, of)
    plain(axes, grid="y")
    return figure


def column(table: SweepTable, name: str) -> NDArray[np.float64]:
    """A figure of each run, NaN where it has none."""
    return np.array([np.nan if value is None else value for value in table.columns[name]], float)


def feasible(table: SweepTable) -> NDArray[np.bool_]:
    """Which runs meet the constraints."""
    return np.array(table.columns.get("feasible", [True] * table.rows), bool)


def front_of(values: NDArray[np.float64], competing: NDArray[np.bool_], better: Sequence[str]) -> NDArray[np.intp]:
    """Rows [row, 2] that no other competing row beats, in the order of their first value."""
    rows = np.flatnonzero(competing)
    signs = np.array([-1.0 if way == "higher" else 1.0 for way in better])
    best = rows[undominated(values[rows] * signs)] if len(rows) else rows
    return best[np.lexsort((values[best, 1], values[best, 0]))]


def _objectives(table: SweepTable) -> tuple[str, str]:
    """What lies across and what upright: the second and the first objective, or another figure."""
    asked = [objective["figure"] for objective in table.objectives]
    others = [name for name in table.figures if name != asked[0]]
    return (asked[1] if len(asked) > 1 else others[0] if others else asked[0]), asked[0]


def _better(table: SweepTable, name: str) -> str:
    asked = {objective["figure"]: objective["better"] for objective in table.objectives}
    return asked.get(name) or FIGURES[name].better or "higher"


def _points(
    axes: Axes, values: NDArray[np.float64], mine: NDArray[np.bool_], feasible: NDArray[np.bool_], number: int
) -> None:
    """Runs of one strategy, those that are feasible filled."""
    many = len(values) > _MANY
    paint, marker = _look(number)
    for rows, filled in ((mine & ~feasible, False), (mine & feasible, True)):
        axes.scatter(
            values[rows, 0], values[rows, 1], s=4 if many else 10, marker=marker, linewidths=0.6, edgecolors=paint,
            facecolors=paint if filled else "none", rasterized=many,
        )  # fmt: skip


def _look(number: int) -> tuple[str, str]:
    """Colour and marker of the `number`-th strategy."""
    return colour(f"var(--s{number % len(STRATEGIES)})"), "o^sD"[number // len(STRATEGIES) % 4]


def _legend(names: Sequence[str]) -> list[Line2D]:
    found = []
    for number, name in enumerate(names):
        paint, marker = _look(number)
        found.append(Line2D([], [], linewidth=0, marker=marker, color=paint, label=str(name)))
    return [*found, Line2D([], [], color=INK, linewidth=0.9, label="front")]


def _scale(axes: Axes, axis: Axis, name: str, values: NDArray[np.float64]) -> None:
    """Name an axis of a figure; logarithmic if its values are far apart."""
    heading = HEADINGS[name]
    axis.set_label_text(heading_text(name))
    low, high = float(values.min()), float(values.max())
    if heading.unit == "share":
        percents(axis)
    elif low > 0 and high > _LOG_FROM * low:
        (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
        logarithmic(axis, low, high)


def heading_text(name: str) -> str:
    """A figure and its unit."""
    title, unit = HEADINGS[name]
    return f"{title}, {'%' if unit == 'share' else unit}" if unit else title
