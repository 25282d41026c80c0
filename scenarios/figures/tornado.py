"""Tornado plots: what half and twice as much of each thing, and no end of it, would make of the speed."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from scenarios.figures.legend import legend_above, patches
from scenarios.figures.rows import THICK, beside
from scenarios.figures.style import INK, INK_2, NARROW, WIDE, blank, colour, paler, plain, styled
from scenarios.whatif.answer import Answer
from scenarios.whatif.tornado import Panel, Row, panels
from sim.readable import number

_LEAST, _MOST = 0.25, 4.0  # what the axis shows
_MARKS = {0.25: "× ¼", 0.5: "× ½", 1.0: "as now", 2.0: "× 2", 4.0: "× 4"}
_ROW_IN, _REST_IN = 0.2, 0.55
_LESS, _MORE = "var(--s1)", "var(--s0)"


@styled
def tornado(answer: Answer) -> Figure | None:
    """A panel for decoding and for the first token, on logarithmic axes; None if the run has neither."""
    found = panels(answer)
    if not found:
        return None
    width_in = WIDE if len(found) > 1 else NARROW
    figure = blank(width_in, 1)
    handles = patches([("half of it, or a poorer guess", _LESS), ("twice as much, or as named", _MORE)])
    legend_in = legend_above(figure, [*handles, Patch(facecolor=paler(colour(_MORE)), label="its limit")])
    figure.set_size_inches(width_in, _ROW_IN * len(answer.levers) + _REST_IN + legend_in)
    for axes, panel in zip(figure.subplots(1, len(found), squeeze=False, sharey=True)[0], found, strict=True):
        _draw(axes, panel)
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    axes.set_xscale("log")
    axes.set_xlim(_LEAST, _MOST)
    for at, row in enumerate(panel.rows):
        for pace, fill in ((row.limit, paler(colour(_MORE))), (row.twice, colour(_MORE)), (row.half, colour(_LESS))):
            if pace is not None:
                axes.barh(at, pace - 1, THICK, left=1, color=fill)
        if row.limit is not None and row.limit > _MOST:
            axes.plot(1, at, ">", transform=axes.get_yaxis_transform(), color=INK_2, markersize=3.5, clip_on=False)
    beside(axes, {at: "–" if row.limit is None else f"× {number(row.limit)}" for at, row in enumerate(panel.rows)})
    axes.axvline(1, color=INK, linewidth=0.6)
    axes.set_yticks(range(len(panel.rows)), labels=[_name(row) for row in panel.rows])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(panel.rows) - 0.5, -0.5)
    axes.xaxis.set_major_locator(FixedLocator(list(_MARKS)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _MARKS[value]))
    axes.set_title(panel.title)
    axes.set_xlabel(panel.note)
    plain(axes)


def _name(row: Row) -> str:
    """What there is twice as much of; where that cannot be, what there is instead."""
    return row.name if row.twice_label in (None, "× 2") else f"{row.name}: {row.twice_label}"
