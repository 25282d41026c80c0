"""Legends above the axes of a figure, in as many columns as it is wide: they cover no data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from scenarios.figures.style import INK, TEXT, colour
from scenarios.figures.text import fitted
from scenarios.report.ranking import Entry

_MOST = 190  # points of a label
_MARGIN_IN = 0.06
_T = TypeVar("_T")


def patches(labelled: Iterable[tuple[str, str]]) -> list[Patch]:
    """Swatches of labels and their CSS colours."""
    return [Patch(facecolor=colour(paint), label=label) for label, paint in labelled]


def lines(entries: Iterable[Entry]) -> list[Line2D]:
    """Samples of the lines of strategies."""
    return [Line2D([], [], color=colour(entry.paint), linestyle=dashes(entry), label=entry.label) for entry in entries]


def dashes(entry: Entry) -> Literal["-", "--", ":"]:
    """How the line of a strategy is drawn."""
    return ":" if entry.bracket else "--" if entry.dashed else "-"


def mark(label: str) -> Line2D:
    """An upright mark, as on bars."""
    return Line2D([], [], color=INK, linewidth=0, marker="|", markersize=6, markeredgewidth=1.1, label=label)


def legend_above(figure: Figure, handles: Sequence[Patch | Line2D]) -> float:
    """Put a legend at the top; returns the inches that it takes."""
    if not handles:
        return 0.0
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    texts = {handle: fitted(str(handle.get_label()), _MOST, TEXT) for handle in handles}
    for columns in range(len(handles), 0, -1):
        ordered = by_rows(handles, columns)
        made = figure.legend(ordered, [texts[handle] for handle in ordered], ncols=columns, loc="outside upper left")
        extent = made.get_window_extent(renderer)
        if columns == 1 or extent.width <= figure.bbox.width - 2 * _MARGIN_IN * figure.dpi:
            break
        made.remove()
    return float(extent.height / figure.dpi) + _MARGIN_IN


def by_rows(handles: Sequence[_T], columns: int) -> list[_T]:
    """In the order in which matplotlib, which fills column by column, puts them row by row."""
    return [handle for column in range(columns) for handle in handles[column::columns]]
