"""A still Gantt of a few layers or steps: what each lane did, by reason, or what of it set the pace, by cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios.figures.kept import kept_run
from scenarios.figures.legend import legend_above, patches
from scenarios.figures.style import INK, LINE, SMALL, TITLE, WIDE, blank, colour, ink_on, plain, styled
from scenarios.figures.text import fitted, width
from scenarios.report.categories import CATEGORIES, WAIT
from scenarios.report.causes import paint
from scenarios.report.lane_names import short_name
from scenarios.report.stretch import Bar, Stretch, layers_span, path_bars, stretch, typical_span
from scenarios.report.units import SECONDS, unit_of
from scenarios.results import ScenarioResult
from sim.critical_path import Cause, critical_path
from sim.schedule import Phase

_LANE_IN, _AXIS_IN, _TITLE_IN, _NAMES_IN = 0.3, 0.42, 0.2, 0.45
_THICK = 0.76  # of a bar, in lanes
_EDGED = 1.5  # points from which a bar has a white edge
By = Literal["reason", "cause"]


class Look(NamedTuple):
    """What a category of bars is called, and its CSS colour."""

    label: str
    paint: str


REASONS = {category.name: Look(category.label, category.paint) for category in CATEGORIES}
CAUSES = {cause.name: Look(cause.label, paint(cause)) for cause in Cause}


@styled
def gantt(
    result: ScenarioResult, label: str | None = None, *, by: By = "reason", phase: str = "decode", step: int = 0,
    layers: Sequence[int] = (),
) -> Figure | None:  # fmt: skip
    """A stretch of one strategy, by default of the best; None if its ops were not kept.

    By reason, every op is coloured by why it exists; by cause, the critical path by what it is spent on. `layers` are
    blocks (first and last) of the `step`-th step of a phase, from 0; without them, a typical part of the run is shown.
    Raises InputError for a strategy, step or layer that is not there.
    """
    run = kept_run(result, label)
    if run is None:
        return None
    timeline = run.timeline
    span = layers_span(timeline, Phase[phase.upper()], step, layers) if layers else typical_span(timeline)
    path = path_bars(critical_path(timeline, result.costs(run)), span) if by == "cause" else None
    return picture(stretch(timeline, span), path, title=run.label, note=span.name)


@styled
def picture(shown: Stretch, path: Sequence[Bar] | None = None, *, title: str = "", note: str = "") -> Figure:
    """Bars of lanes; `layer/expert` names an expert. With a critical path, only what is on it has a colour."""
    looks, bars = (REASONS, shown.bars) if path is None else (CAUSES, path)
    seen = {bar.category for bar in bars}
    figure = blank(WIDE, 1)
    legend_in = legend_above(figure, patches(look for name, look in looks.items() if name in seen))
    height_in = _LANE_IN * len(shown.lanes) + legend_in + _AXIS_IN + (_TITLE_IN if title else 0)
    figure.set_size_inches(WIDE, height_in)
    axes = figure.subplots()
    unit, factor = unit_of([shown.length_s], SECONDS)
    frame(axes, [short_name(lane) for lane in shown.lanes], factor * shown.length_s)
    if path is not None:
        others = [bar for bar in shown.bars if bar.category != CATEGORIES[WAIT].name]
        draw(axes, others, [shown.lanes.index(bar.lane) for bar in others], factor, None)
    draw(axes, bars, [shown.lanes.index(bar.lane) for bar in bars], factor, looks)
    axes.set_xlabel(f"time, {unit} ({note})" if note else f"time, {unit}")
    axes.set_title(fitted(title, 400, TITLE))
    return figure


def frame(axes: Axes, lanes: Sequence[str], length: float) -> None:
    """Rows of some names, the first on top."""
    axes.set_yticks(range(len(lanes)), labels=lanes)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(lanes) - 0.5, -0.5)
    axes.set_xlim(0, length)
    plain(axes)


def draw(axes: Axes, bars: Sequence[Bar], rows: Sequence[int], factor: float, looks: Mapping[str, Look] | None) -> None:
    """Draw bars in their rows, `factor` times as long as their seconds, in their colours (None: all faint).

    Bars that can be told apart have a white edge, and what fits of their labels.
    """
    points = 72 * (WIDE - _NAMES_IN) / axes.get_xlim()[1] * factor  # of a second
    groups: dict[tuple[str, bool], list[tuple[int, Bar]]] = {}
    for row, bar in zip(rows, bars, strict=True):
        groups.setdefault((bar.category, points * (bar.end_s - bar.start_s) >= _EDGED), []).append((row, bar))
    for (category, edged), alike in groups.items():
        fill = colour(looks[category].paint) if looks else LINE
        for row in sorted({row for row, _ in alike}):
            spans = [(factor * bar.start_s, factor * (bar.end_s - bar.start_s)) for at, bar in alike if at == row]
            place = (row - _THICK / 2, _THICK)
            axes.broken_barh(spans, place, facecolor=fill, edgecolor="white", linewidth=0.4 if edged else 0)
        for row, bar in alike if looks and edged else ():
            if width(bar.label, SMALL) + 2 <= points * (bar.end_s - bar.start_s):
                middle = factor * (bar.start_s + bar.end_s) / 2
                axes.text(middle, row, bar.label, ha="center", va="center_baseline", fontsize=SMALL, color=ink_on(fill))
