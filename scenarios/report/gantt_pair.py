"""Two timelines one over the other: measured over simulated, or before over after."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from scenarios.report.gantt import Drawn, view
from scenarios.report.gantt_windows import Window, steps_in
from scenarios.report.lane_names import short_name
from sim.critical_path import Path


def pair(label: str, upper: Path, lower: Path, names: tuple[str, str], most_rows: int) -> dict[str, Any]:
    """The critical paths' timelines as one run of the Gantt (`assets/gantt`), from the start on as far as rows reach.

    Every lane is there twice: that of `upper` over that of `lower`. Steps are those of `upper`. Plain JSON values.
    """
    timelines = [path.timeline for path in (upper, lower)]
    lanes = list(dict.fromkeys(lane.name for timeline in timelines for lane in timeline.schedule.lanes))
    parts = [Drawn.of(path.timeline, path, lanes) for path in (upper, lower)]
    window = _reach(parts, most_rows)
    whole = window.end_s >= max(timeline.makespan_s for timeline in timelines)
    title = "Whole run" if whole else f"First {window.steps} steps"
    return {
        "label": label,
        "lanes": [short_name(name) for name in lanes for _ in names],
        "notes": [note for _ in lanes for note in names],
        "views": [view(parts, window, title, steps_in(timelines[0], window))],
    }


def _reach(parts: list[Drawn], most_rows: int) -> Window:
    """The first steps that have few enough rows; the first one at least."""
    ends = [part.timeline.step_end_s for part in parts]
    n_steps = min(map(len, ends))

    def first(count: int) -> Window:
        last_s = [part.timeline.makespan_s if count == n_steps else ends[k][count - 1] for k, part in enumerate(parts)]
        return Window(None, 0, count, 0.0, float(max(last_s)))

    def rows(count: int) -> int:
        return sum(len(first(count).rows(part.rows)) for part in parts)

    return first(max(1, bisect_right(range(1, n_steps + 1), most_rows, key=rows)))
