"""What each strategy keeps in GPU and host memory, against what can be used of it."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from scenarios.figures.legend import by_rows, patches
from scenarios.figures.rows import beside, stack
from scenarios.figures.style import INK, TEXT, WIDE, blank, plain, styled
from scenarios.figures.text import fitted
from scenarios.report.memory_use import MemoryUse, memory_use
from scenarios.report.ranking import Entry, rank
from scenarios.report.units import BYTES, unit_of
from scenarios.results import ScenarioResult
from sim.readable import gigabytes, number

_ROW_IN, _REST_IN, _KEY_IN = 0.27, 0.62, 0.16
_NAME = 105  # points of a name


@styled
def memory(result: ScenarioResult) -> Figure | None:
    """Bars, a panel a memory; strategies that need just the same share one. None if nothing was run."""
    if not result.runs:
        return None
    uses = memory_use(rank(result.runs), result.machine)
    keys = max(-(-len(use.items) // 2) for use in uses)
    figure = blank(WIDE, _ROW_IN * max(len(use.rows) for use in uses) + _KEY_IN * keys + _REST_IN)
    for axes, use in zip(figure.subplots(1, len(uses), squeeze=False)[0], uses, strict=True):
        _draw(axes, use, keys)
    return figure


def _draw(axes: Axes, use: MemoryUse, keys: int) -> None:
    texts: dict[float, str] = {}
    unit, factor = unit_of([use.top_bytes], BYTES)
    for at, (_, footprint) in enumerate(use.rows):
        stack(axes, at, [(factor * size, use.paints[item]) for item, size in footprint.items.items() if size])
        texts[at] = number(factor * footprint.total_bytes)
    axes.set_yticks(range(len(use.rows)), labels=[_names(entries) for entries, _ in use.rows])
    axes.set_ylim(len(use.rows) - 0.4, -0.6)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_xlim(0, 1.03 * factor * use.top_bytes)
    axes.axvline(factor * use.usable_bytes, color=INK, linewidth=0.8)
    axes.set_xlabel(unit)
    plain(axes)
    beside(axes, texts)
    above = axes.transAxes + ScaledTranslation(0, _KEY_IN * keys, axes.figure.dpi_scale_trans)
    handles = by_rows(patches(use.paints.items()), 2)
    axes.legend(handles=handles, ncols=2, loc="upper left", bbox_to_anchor=(0, 1), bbox_transform=above)
    axes.set_title(f"{use.title}, {gigabytes(use.usable_bytes)} usable", pad=6 + 72 * _KEY_IN * keys)


def _names(entries: Sequence[Entry]) -> str:
    """One name, or the first of several and how many more."""
    if len(entries) == 1:
        return fitted(entries[0].label, _NAME, TEXT, lines=2)
    return f"{fitted(entries[0].label, _NAME, TEXT)}\nand {len(entries) - 1} more"
