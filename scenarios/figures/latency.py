"""Latency per token: each decode step over the run, and how these are distributed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scenarios.figures.kept import kept_entries
from scenarios.figures.legend import dashes, legend_above, lines
from scenarios.figures.scales import logarithmic, percents
from scenarios.figures.style import WIDE, blank, colour, plain, styled
from scenarios.report.latency import decode_steps_s
from scenarios.report.latency import latency as thinned
from scenarios.report.units import SECONDS, unit_of
from scenarios.results import ScenarioResult

_HEIGHT_IN = 2.2
_LOG_FROM = 20.0  # ratio of the longest step to the shortest


@styled
def latency(result: ScenarioResult) -> Figure | None:
    """Medians of a few steps each, over the run; and the share of steps that take at most so long.

    None if no run whose ops were kept decodes.
    """
    entries = kept_entries(result)
    steps = [(entry, steps_s) for entry in entries if len(steps_s := decode_steps_s(entry.run.timeline))]
    if not steps:
        return None
    figure = blank(WIDE, 1)
    figure.set_size_inches(WIDE, _HEIGHT_IN + legend_above(figure, lines(entry for entry, _ in steps)))
    over, spread = figure.subplots(1, 2, width_ratios=(3, 2))
    every = np.concatenate([steps_s for _, steps_s in steps])
    unit, factor = unit_of(every, SECONDS)
    for z, (entry, steps_s) in enumerate(reversed(steps)):  # the best one on top
        looks = {"color": colour(entry.paint), "linestyle": dashes(entry), "zorder": 2 + z / 100}
        points = thinned(entry.run.timeline)
        over.plot(points["x"], factor * np.array(points["median_s"]), marker=_marker(points["x"]), **looks)
        spread.plot(*_distribution(factor * steps_s), **looks)
    _axes(over, spread, factor * every, unit)
    return figure


def _axes(over: Axes, spread: Axes, every: NDArray[np.float64], unit: str) -> None:
    low, high = float(every[every > 0].min(initial=np.inf)), float(every.max())
    log = high > _LOG_FROM * low
    for axes, axis, limits in ((over, over.yaxis, over.set_ylim), (spread, spread.xaxis, spread.set_xlim)):
        if log:
            (axes.set_yscale if axis is over.yaxis else axes.set_xscale)("log")
            logarithmic(axis, low, high)
        limits(low / 1.2 if log else 0.0, 1.2 * high if log else 1.05 * high)
        plain(axes, grid="y")
    over.set_xlabel("decode step")
    over.locator_params(axis="x", integer=True, min_n_ticks=1)
    over.set_ylabel(f"time of a step, {unit}")
    spread.set_xlabel(f"time of a step, {unit}")
    spread.set_ylabel("% of the steps")
    spread.set_ylim(0, 1.01)
    percents(spread.yaxis)


def _distribution(steps: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the steps of a cumulative distribution."""
    ordered = np.sort(steps)
    share = np.arange(len(steps) + 1) / len(steps)
    return np.repeat(ordered, 2), np.repeat(share, 2)[1:-1]


def _marker(points: Sequence[float]) -> str:
    return "o" if len(points) == 1 else ""
