"""What the page's scripts draw from, as plain JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scenarios.report.categories import CATEGORIES, DISPATCH, WAIT
from scenarios.report.gantt import TICK_S, views
from scenarios.report.lane_names import short_name
from scenarios.report.latency import latency
from scenarios.report.ranking import Entry
from sim.schedule import Kind

_MOST_BARS = 20_000  # of one view
_BAR_BUDGET = 60_000  # of all views together: 2 MB
_FEWEST_BARS = 800  # a view of less says little


def data(entries: Sequence[Entry]) -> dict[str, Any]:
    """The runs in the order of `entries`, and what the numbers in their bars stand for.

    The bars of all Gantt views are kept to a budget: with very many strategies, the last ones have none.
    """
    most_bars = min(_MOST_BARS, max(_FEWEST_BARS, _BAR_BUDGET // (2 * max(1, len(entries)))))
    left = _BAR_BUDGET
    runs = []
    for entry in entries:
        shown = views(entry.run.timeline, most_bars) if left > 0 else []
        left -= sum(len(view["bars"]["start"]) for view in shown)
        runs.append(_run(entry, shown if left >= 0 else []))
    return {
        "tick_s": TICK_S,
        "categories": [{"label": category.label, "paint": category.paint} for category in CATEGORIES],
        "dispatch": DISPATCH,
        "wait": WAIT,
        "kinds": [kind.name.lower() for kind in Kind],
        "runs": runs,
    }


def _run(entry: Entry, shown: list[dict[str, Any]]) -> dict[str, Any]:
    timeline = entry.run.timeline
    return {
        "label": entry.label,
        "paint": entry.paint,
        "dashed": entry.dashed,
        "bracket": entry.bracket,
        "lanes": [short_name(lane.name) for lane in timeline.schedule.lanes],
        "views": shown,
        "latency": latency(timeline),
    }
