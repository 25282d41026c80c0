"""Bars to either side of none: errors of predictions, changes from one timeline to another."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from scenarios.diff_page import kind_changes
from scenarios.figures.rows import THICK, beside
from scenarios.figures.scales import percents
from scenarios.figures.style import INK, INK_3, NARROW, TEXT, blank, colour, plain, styled
from scenarios.figures.text import fitted
from scenarios.report.deviations import Deviation, by_cause
from scenarios.report.units import SECONDS, unit_of
from scenarios.validate import Validation
from scenarios.validation_page.collect import NAMES, Collected
from scenarios.validation_page.errors import kind_errors, schedule_errors
from sim.timeline_diff import Difference

_ROW_IN, _TWO_LINES_IN, _REST_IN = 0.185, 0.25, 0.45
_NAME = 90  # points of the name of a row
_VISIBLE = 1e-4  # of the longest


@styled
def errors_by_schedule(found: Validation) -> Figure | None:
    """Predicted over measured minus one; red where the measured time lies outside the range of the prediction."""
    return _bars(schedule_errors(found), "error, % of the measured time", seconds=False)


@styled
def errors_by_cause(collected: Collected) -> Figure | None:
    """By how much what critical paths are spent on is longer simulated than measured."""
    return _bars(by_cause(collected.causes, NAMES), "simulated minus measured")


@styled
def errors_by_kind(found: Validation) -> Figure | None:
    """The same of the busy seconds of each kind of op."""
    return _bars(kind_errors(found), "simulated minus measured")


@styled
def changes_by_cause(found: Difference) -> Figure | None:
    """By how much what the critical path is spent on is longer in B than in A."""
    return _bars(by_cause(found.causes, ("A", "B")), "B minus A")


@styled
def changes_by_kind(found: Difference) -> Figure | None:
    """The same of the busy seconds of each kind of op."""
    return _bars(kind_changes(found), "B minus A")


def _bars(rows: Sequence[Deviation], meaning: str, *, seconds: bool = True) -> Figure | None:
    """Without those that could not be seen; None if there are no others."""
    most = max((abs(row.value) for row in rows), default=0.0)
    rows = [row for row in rows if abs(row.value) > _VISIBLE * most]
    if not rows:
        return None
    labels = [fitted(row.name, _NAME, TEXT, lines=2) for row in rows]
    row_in = _TWO_LINES_IN if any("\n" in label for label in labels) else _ROW_IN
    figure = blank(NARROW, row_in * len(rows) + _REST_IN)
    axes = figure.subplots()
    unit, factor = unit_of([row.value for row in rows], SECONDS) if seconds else ("", 1.0)
    for at, row in enumerate(rows):
        axes.barh(at, factor * row.value, THICK, color=colour(row.paint))
    beside(axes, {at: row.text for at, row in enumerate(rows)})
    axes.axvline(0, color=INK_3, linewidth=0.6)
    axes.set_yticks(range(len(rows)), labels=labels)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(f"{meaning}, {unit}" if unit else meaning)
    if not seconds:
        percents(axes.xaxis)
    plain(axes)
    return figure
