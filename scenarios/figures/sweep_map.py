"""A map of a sweep: in each place of two of its axes, the best that any run reaches there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from scenarios.explore.columns import axis_titles
from scenarios.explore.figures import HEADINGS
from scenarios.explore.table import SweepTable
from scenarios.figures.style import NARROW, blank, colour, styled
from scenarios.figures.sweep import column, feasible, heading_text, pareto
from scenarios.report.palette import heat
from sim.readable import number

_HEIGHT_IN = 2.6
_MOST_PLACES, _BINS, _LOG_FROM = 40, 16, 20.0
_MOST_MARKS = 8


@dataclass(frozen=True)
class Places:
    """The places of an axis: what they are called, and which one each run is in."""

    labels: list[str]
    of: NDArray[np.intp]


@styled
def sweep_map(table: SweepTable) -> Figure | None:
    """The first objective over the first two axes that are numbers; the best of all strategies and all other axes.

    Only feasible runs count. None if fewer than two axes have several numbers, or no run has the figure.
    """
    paths = [path for path in table.axes if _several_numbers(table.columns[path])][:2]
    objective = table.objectives[0]
    if len(paths) < 2 or objective["figure"] not in table.figures:
        return None
    across, up = (places(table.columns[path]) for path in paths)
    grid = best_of(column(table, objective["figure"]), feasible(table), across, up, objective["better"])
    ramp = LinearSegmentedColormap.from_list("best", [colour(paint) for paint in heat("uses")])
    figure = blank(NARROW, _HEIGHT_IN)
    axes = figure.subplots()
    share = HEADINGS[objective["figure"]].unit == "share"
    drawn = axes.imshow(100 * grid if share else grid, cmap=ramp, aspect="auto", origin="lower")
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, fraction=0.06, aspect=20)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.set_title(f"Best {heading_text(objective['figure'])}", fontweight="normal")
    titles = axis_titles(table)
    axes.set_xlabel(titles[paths[0]])
    axes.set_ylabel(titles[paths[1]])
    for marks, of in ((axes.set_xticks, across), (axes.set_yticks, up)):
        every = -(-len(of.labels) // _MOST_MARKS)
        marks(range(0, len(of.labels), every), labels=of.labels[::every])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def places(values: list[Any]) -> Places:
    """Distinct values if they are few, else equally wide bins, of logarithms where values are far apart."""
    given = np.array([np.nan if value is None else value for value in values], float)
    distinct, of = np.unique(given[~np.isnan(given)], return_inverse=True)
    found = np.full(len(given), -1)
    if len(distinct) <= _MOST_PLACES:
        found[~np.isnan(given)] = of
        return Places([number(value) for value in distinct.tolist()], found)
    log = distinct[0] > 0 and distinct[-1] > _LOG_FROM * distinct[0]
    low, high = (np.log(distinct) if log else distinct)[[0, -1]].tolist()
    edges = np.linspace(low, high, _BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    at = np.digitize(np.log(given) if log else given, edges[1:-1])
    found[~np.isnan(given)] = at[~np.isnan(given)]
    return Places([number(value) for value in (np.exp(middles) if log else middles).tolist()], found)


def best_of(
    values: NDArray[np.float64], able: NDArray[np.bool_], across: Places, up: Places, better: str
) -> NDArray[np.float64]:
    """The best value in each place [up, across]; NaN where no run that is able has one."""
    grid = np.full((len(up.labels), len(across.labels)), -np.inf)
    there = able & ~np.isnan(values) & (across.of >= 0) & (up.of >= 0)
    sign = 1.0 if better == "higher" else -1.0
    np.maximum.at(grid, (up.of[there], across.of[there]), sign * values[there])
    return np.where(np.isinf(grid), np.nan, sign * grid)


def _several_numbers(values: list[Any]) -> bool:
    given = {value for value in values if value is not None}
    return len(given) > 1 and all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)


def sweep_figures(table: SweepTable) -> Iterator[tuple[str, Figure | None]]:
    """All figures of a sweep, by name."""
    yield "pareto", pareto(table)
    yield "map", sweep_map(table)
