"""Predicted against measured times, and the two timelines of one schedule lane by lane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scenarios.figures.deviations import errors_by_cause, errors_by_kind, errors_by_schedule
from scenarios.figures.legend import legend_above
from scenarios.figures.pair import gantt_pair
from scenarios.figures.scales import logarithmic
from scenarios.figures.style import INK_3, LINE, NARROW, blank, colour, plain, styled
from scenarios.report.palette import STRATEGIES
from scenarios.report.units import SECONDS, unit_of
from scenarios.validate import Validation
from scenarios.validation_page.collect import NAMES, Collected

_HEIGHT_IN, _BAND, _ROOM = 2.7, 0.1, 1.3


@styled
def predicted_and_measured(found: Validation) -> Figure:
    """A point a schedule, on logarithmic axes: on the line the prediction is right, within the band it is 10 % off.

    Bars are the range of the prediction, and how far repeated runs differ.
    """
    pairs = [(each.comparison.measured_s, each.comparison.predicted_s) for each in found.schedules]
    unit, factor = unit_of([time_s for pair in pairs for time_s in pair], SECONDS)
    ends = (factor * min(map(min, pairs)) / _ROOM, factor * max(map(max, pairs)) * _ROOM)
    scenarios = list(dict.fromkeys(each.scenario for each in found.schedules))
    figure = blank(NARROW, 1)
    handles = [Line2D([], [], linewidth=0, **_look(number), label=name) for number, name in enumerate(scenarios)]
    figure.set_size_inches(NARROW, _HEIGHT_IN + legend_above(figure, handles))
    axes = figure.subplots()
    _frame(axes, ends, unit)
    for each in found.schedules:
        x, y = factor * each.comparison.measured_s, factor * each.comparison.predicted_s
        look = _look(scenarios.index(each.scenario))
        half = x * (each.comparison.repeat_spread or 0.0) / 2
        axes.hlines(y, x - half, x + half, color=look["color"], linewidth=0.7)
        if each.range_s is not None:
            axes.vlines(x, factor * each.range_s.low, factor * each.range_s.high, color=look["color"], linewidth=0.7)
        axes.plot(x, y, linewidth=0, **look)
    return figure


def _look(number: int) -> dict[str, Any]:
    """Of the points of the `number`-th scenario."""
    return {"color": colour(f"var(--s{number % len(STRATEGIES)})"), "marker": "oDs^"[number // len(STRATEGIES) % 4]}


def _frame(axes: Axes, ends: tuple[float, float], unit: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set(xlim=ends, ylim=ends)
    for axis in (axes.xaxis, axes.yaxis):
        logarithmic(axis, *ends)
    axes.fill_between(ends, [at / (1 + _BAND) for at in ends], [at * (1 + _BAND) for at in ends], color=LINE)
    axes.plot(ends, ends, color=INK_3, linewidth=0.7)
    axes.set_xlabel(f"measured, {unit}")
    axes.set_ylabel(f"predicted, {unit}")
    plain(axes, grid="y")


def validation_figures(found: Validation, collected: Collected) -> Iterator[tuple[str, Figure | None]]:
    """All figures of a validation, by name; both timelines are those of the schedule with the largest error."""
    yield "predicted-and-measured", predicted_and_measured(found)
    yield "errors-by-schedule", errors_by_schedule(found)
    yield "errors-by-cause", errors_by_cause(collected)
    yield "errors-by-kind", errors_by_kind(found)
    if collected.worst is not None:
        worst, measured, simulated = collected.worst
        title = f"{worst.scenario} · {worst.label}"
        yield "measured-over-simulated", gantt_pair(measured, simulated, NAMES, title)
