"""Where the time goes: how much of each run every lane is busy, and what with."""

from __future__ import annotations

from matplotlib.figure import Figure

from scenarios.figures.kept import kept_entries
from scenarios.figures.legend import legend_above, patches
from scenarios.figures.rows import Rows, stack
from scenarios.figures.scales import percents
from scenarios.figures.style import WIDE, blank, plain, styled
from scenarios.report.categories import CATEGORIES
from scenarios.report.lane_names import short_name
from scenarios.report.lane_shares import lane_shares, segments
from scenarios.results import ScenarioResult

_AXIS_IN = 0.55


@styled
def where_time_goes(result: ScenarioResult) -> Figure | None:
    """Busy shares of the run, a panel a lane, by the reason of the ops; None if the ops of no run were kept."""
    kept = kept_entries(result)
    if not kept:
        return None
    rows, found = Rows(kept), lane_shares(kept)
    figure = blank(WIDE, 1)
    legend_in = legend_above(figure, patches((CATEGORIES[code].label, CATEGORIES[code].paint) for code in found.seen))
    figure.set_size_inches(WIDE, rows.height_in + legend_in + _AXIS_IN)
    all_axes = figure.subplots(1, len(found.lanes), sharey=True, squeeze=False)[0]
    for axes, lane in zip(all_axes, found.lanes, strict=True):
        for at, each in zip(rows.at, found.shares, strict=True):
            shares = each.get(lane)
            if shares is not None:
                stack(axes, at, [(float(shares[code]), CATEGORIES[code].paint) for code in segments(shares)])
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1])
        percents(axes.xaxis)
        axes.set_title(short_name(lane))
        plain(axes)
    rows.label(all_axes[0])
    figure.supxlabel("busy, % of the run", fontsize=7.5)
    return figure
