"""What sets the pace: critical paths by cause, and what keeps runs from their physical limit, as stacked bars."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from scenarios.figures.kept import kept_entries
from scenarios.figures.legend import legend_above, patches
from scenarios.figures.rows import Rows, beside, stack
from scenarios.figures.scales import percents
from scenarios.figures.style import NARROW, blank, plain, styled
from scenarios.report.pace_parts import Part, gap_parts, path_parts, union
from scenarios.report.ranking import Entry
from scenarios.report.units import SECONDS, aligned
from scenarios.results import ScenarioResult
from sim.critical_path import critical_path as path_of

_AXIS_IN = 0.42


@styled
def critical_path(result: ScenarioResult) -> Figure | None:
    """Each strategy's critical path by cause, as shares of its run; None if the ops of no run were kept."""
    kept = kept_entries(result)
    paths = [path_of(entry.run.timeline, result.costs(entry.run)) for entry in kept]
    return _stacked(kept, [path_parts(path) for path in paths])


@styled
def gap(result: ScenarioResult) -> Figure | None:
    """From the physical limit to each run: what the time beyond it goes to; None if no run has a limit."""
    split = [(entry, gap_parts(entry.run.gap)) for entry in kept_entries(result) if entry.run.gap is not None]
    return _stacked([entry for entry, _ in split], [parts for _, parts in split])


def _stacked(entries: Sequence[Entry], split: Sequence[Sequence[Part]]) -> Figure | None:
    """Parts of each run in one order, and how long it is in all."""
    if not entries:
        return None
    rows, seen = Rows(entries, 80), union(split)
    figure = blank(NARROW, 1)
    legend_in = legend_above(figure, patches((part.label, part.paint) for part in seen))
    figure.set_size_inches(NARROW, rows.height_in + legend_in + _AXIS_IN)
    axes = figure.subplots()
    for at, parts in zip(rows.at, split, strict=True):
        total_s = sum(part.seconds for part in parts) or 1.0
        stack(axes, at, [(part.seconds / total_s, part.paint) for part in parts if part.seconds > 0])
    axes.set_xlim(0, 1)
    percents(axes.xaxis)
    unit, texts = aligned([entry.run.summary.makespan_s for entry in entries], SECONDS)
    beside(axes, {at: f"{text} {unit}" for at, text in zip(rows.at, texts, strict=True)})
    axes.set_xlabel("% of the run")
    plain(axes)
    rows.label(axes)
    return figure
