"""What the page's scripts draw from, as plain JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scenarios.report.categories import CATEGORIES, DISPATCH, WAIT
from scenarios.report.causes import paint
from scenarios.report.expert_maps import expert_maps
from scenarios.report.gantt import views
from scenarios.report.lane_names import short_name
from scenarios.report.latency import latency
from scenarios.report.over_time import over_time_data
from scenarios.report.ranking import Entry
from sim.critical_path import Cause, Path
from sim.releases import Release
from sim.schedule import Kind

_ROW_BUDGET = 250_000  # of all views together: up to 11 bytes each
_FEWEST_ROWS = 800  # a view of less says little


def data(entries: Sequence[Entry], paths: Sequence[Path]) -> dict[str, Any]:
    """The runs in the order of `entries`, with their critical paths, and what the numbers in their rows stand for.

    The rows of all Gantt views are kept to a budget: with very many strategies, the last ones have none.
    """
    most_rows = max(_FEWEST_ROWS, _ROW_BUDGET // max(1, len(entries)))
    left = _ROW_BUDGET
    runs = []
    for entry, path in zip(entries, paths, strict=True):
        shown = views(entry.run.timeline, path, most_rows) if left > 0 else []
        left -= sum(view["count"] for view in shown)
        runs.append(_run(entry, shown if left >= 0 else []))
    panels = {"expert_maps": expert_maps(entries), "over_time": over_time_data(entries)}
    return gantt_names() | {"runs": runs} | panels


def gantt_names() -> dict[str, Any]:
    """What the numbers in the rows of a Gantt stand for."""
    return {
        "categories": [{"label": category.label, "paint": category.paint} for category in CATEGORIES],
        "causes": [{"label": cause.label, "paint": paint(cause)} for cause in Cause],
        "dispatch": DISPATCH,
        "wait": WAIT,
        "kinds": [kind.name.lower() for kind in Kind],
        "releases": [release.name.lower() for release in Release],
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
