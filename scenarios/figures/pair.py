"""Two timelines one over the other, lane by lane, each from the beginning of the same steps."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.figure import Figure

from scenarios.figures.deviations import changes_by_cause, changes_by_kind
from scenarios.figures.gantt import REASONS, draw, frame
from scenarios.figures.legend import legend_above, patches
from scenarios.figures.style import TITLE, WIDE, blank, styled
from scenarios.figures.text import fitted
from scenarios.report.lane_names import short_name
from scenarios.report.stretch import stretch, typical_spans
from scenarios.report.units import SECONDS, unit_of
from sim.timeline import Timeline
from sim.timeline_diff import Difference

_LANE_IN, _AXIS_IN = 0.24, 0.65


@styled
def gantt_pair(upper: Timeline, lower: Timeline, names: tuple[str, str], title: str = "") -> Figure:
    """A typical stretch of two timelines of equally many steps: every lane of `upper` over the same of `lower`."""
    spans = typical_spans(upper, lower)
    parts = [stretch(timeline, span) for timeline, span in zip((upper, lower), spans, strict=True)]
    lanes = list(dict.fromkeys(lane for part in parts for lane in part.lanes))
    bars = [bar for part in parts for bar in part.bars]
    figure = blank(WIDE, 1)
    seen = {bar.category for bar in bars}
    legend_in = legend_above(figure, patches(look for name, look in REASONS.items() if name in seen))
    figure.set_size_inches(WIDE, 2 * _LANE_IN * len(lanes) + legend_in + _AXIS_IN)
    axes = figure.subplots()
    length_s = max(part.length_s for part in parts)
    unit, factor = unit_of([length_s], SECONDS)
    rows = [f"{short_name(lane)}, {name}" for lane in lanes for name in names]
    frame(axes, rows, factor * length_s)
    for k, part in enumerate(parts):
        draw(axes, part.bars, [2 * lanes.index(bar.lane) + k for bar in part.bars], factor, REASONS)
    axes.set_xlabel(f"time, {unit} ({spans[0].name})")
    axes.set_title(fitted(title, 400, TITLE))
    return figure


def difference_figures(found: Difference, a: Timeline, b: Timeline) -> Iterator[tuple[str, Figure | None]]:
    """All figures of `moesim diff`, by name."""
    yield "changes-by-cause", changes_by_cause(found)
    yield "changes-by-kind", changes_by_kind(found)
    yield "a-over-b", gantt_pair(a, b, ("A", "B"))
