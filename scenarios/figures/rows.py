"""Rows of strategies, with bars: the best on top, and what brackets the others set apart below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from scenarios.figures.style import INK, INK_3, TEXT, colour
from scenarios.figures.text import fitted, width
from scenarios.report.ranking import Entry

THICK = 0.66  # of a bar, in rows
_ROW_IN, _TWO_LINES_IN = 0.185, 0.25
_APART = 0.5


class Rows:
    """Where the rows are: `at`, from 0 downwards; `height_in` is what they take."""

    def __init__(self, entries: Sequence[Entry], name_points: float = 105) -> None:
        self.labels = [_name(entry, name_points) for entry in entries]
        self._faint = [entry.bracket is not None for entry in entries]
        first = next((i for i, faint in enumerate(self._faint) if faint), 0)
        self.at = [i + (_APART if first and i >= first else 0.0) for i in range(len(entries))]
        rows = self.at[-1] + 1
        self.height_in = rows * (_TWO_LINES_IN if any("\n" in label for label in self.labels) else _ROW_IN)

    def label(self, axes: Axes) -> None:
        """Name the rows on the left of some axes."""
        axes.set_yticks(self.at, labels=self.labels)
        axes.set_ylim(self.at[-1] + 0.5, -0.5)
        for text, faint in zip(axes.get_yticklabels(), self._faint, strict=True):
            text.set_color(INK_3 if faint else INK)
            text.set_linespacing(0.95)


def stack(axes: Axes, at: float, parts: Iterable[tuple[float, str]]) -> None:
    """Bars one after the other from 0: lengths and CSS colours."""
    left = 0.0
    for length, paint in parts:
        axes.barh(at, length, THICK, left=left, color=colour(paint))
        left += length


def look(entry: Entry) -> dict[str, Any]:
    """How the bar of a strategy is filled."""
    return {"facecolor": colour(entry.paint), "edgecolor": "white", "hatch": "//////" if entry.dashed else None}


def beside(axes: Axes, texts: Mapping[float, str]) -> None:
    """Write what rows come to in a column on the right of the axes."""
    right = 6 + max((width(text, TEXT) for text in texts.values()), default=0.0)
    for at, text in texts.items():
        axes.annotate(
            text, (1, at), xycoords=("axes fraction", "data"), xytext=(right, 0), textcoords="offset points",
            va="center", ha="right", fontsize=TEXT, annotation_clip=False,
        )  # fmt: skip


def _name(entry: Entry, points: float) -> str:
    if entry.bracket is None:
        return fitted(entry.label, points, TEXT, lines=2)
    return f"{fitted(entry.label, points, TEXT)}\n({entry.bracket})"
