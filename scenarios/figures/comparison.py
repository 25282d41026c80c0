"""Decode speed, time to first token and the whole run of all strategies, with their ranges and the physical limit."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from scenarios.figures.legend import legend_above, mark
from scenarios.figures.rows import THICK, Rows, beside, look
from scenarios.figures.scales import logarithmic
from scenarios.figures.style import INK, INK_2, NARROW, WIDE, blank, plain, styled
from scenarios.report.measures import Bar, Panel, panels
from scenarios.report.ranking import Entry, rank
from scenarios.report.units import unit_of
from scenarios.results import ScenarioResult
from sim.intervals import LEVEL

_AXIS_IN = 0.62  # title, marks and what they mean
_HALO = [withStroke(linewidth=2.2, foreground="white")]


@styled
def comparison(result: ScenarioResult) -> Figure | None:
    """Bars of each strategy, in one order for all measures: that of the report; None if nothing was run."""
    if not result.runs:
        return None
    entries = rank(result.runs)
    rows, found = Rows(entries), panels(entries)
    figure = blank(WIDE if len(found) > 1 else NARROW, 1)
    legend_in = legend_above(figure, _legend(found))
    figure.set_size_inches(figure.get_figwidth(), rows.height_in + legend_in + _AXIS_IN)
    all_axes: Sequence[Axes] = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, panel in zip(all_axes, found, strict=True):
        _draw(axes, panel, entries, rows)
    rows.label(all_axes[0])
    return figure


def _draw(axes: Axes, panel: Panel, entries: Sequence[Entry], rows: Rows) -> None:
    unit, factor = unit_of([bar.value for bar in (*panel.choices, *panel.bounds)], panel.measure.units)
    low, top = factor * panel.axis.floor, factor * panel.axis.top
    axes.set_xlim(low, 1.02 * top)
    if panel.axis.log:
        axes.set_xscale("log")
        logarithmic(axes.xaxis, low, top)
    else:
        axes.locator_params(axis="x", nbins=4)
    axes.set_title(panel.measure.title)
    axes.set_xlabel(f"{unit}, {panel.measure.note.split(';')[0]}{', log scale' if panel.axis.log else ''}")
    plain(axes)
    texts = dict.fromkeys(rows.at, "–")
    for bar in (*panel.choices, *panel.bounds):
        at = rows.at[next(i for i, entry in enumerate(entries) if entry is bar.entry)]
        texts[at] = bar.text.rsplit(" ", 1)[0]
        _bar(axes, at, bar, low, factor)
    beside(axes, texts)


def _bar(axes: Axes, at: float, bar: Bar, low: float, factor: float) -> None:
    value = factor * bar.value
    axes.barh(at, value - low, THICK, left=low, **look(bar.entry))
    if value > axes.get_xlim()[1]:
        axes.plot(1, at, ">", transform=axes.get_yaxis_transform(), color=INK_2, markersize=3.5, clip_on=False)
    if bar.range is not None:
        ends = [factor * bar.range.low, factor * bar.range.high]
        axes.plot(ends, [at, at], color=INK, linewidth=0.8, marker="|", markersize=3.5, path_effects=_HALO)
    if bar.limit:
        half = 0.62 * THICK
        axes.vlines(factor * bar.limit, at - half, at + half, color=INK, linewidth=1.1, path_effects=_HALO)


def _legend(found: Sequence[Panel]) -> list[Line2D]:
    """Of what stands on the bars, if it does."""
    bars = [bar for panel in found for bar in (*panel.choices, *panel.bounds)]
    whisker = Line2D([], [], color=INK, linewidth=0.8, marker="|", markersize=3.5, label=f"{100 * LEVEL:.0f} % range")
    shown = {
        whisker: any(bar.range is not None for bar in bars),
        mark("physical limit"): any(bar.limit is not None for bar in bars),
    }
    return [handle for handle, there in shown.items() if there]
