"""Views of the Gantt: the rows and the critical path of a stretch of a run, packed for the page's scripts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.report.gantt_rows import Rows, rows_of
from scenarios.report.gantt_windows import Window, number_in_phase, title, windows
from scenarios.report.packing import packed
from sim.critical_path import Path
from sim.releases import NOTHING
from sim.schedule import Phase, Schedule
from sim.timeline import Timeline

_TICKS = 2.0**31  # that a view may be long


def views(timeline: Timeline, path: Path, most_rows: int) -> list[dict[str, Any]]:
    """The parts of a run that are shown, as plain JSON values."""
    rows = rows_of(timeline)
    return [view(timeline, rows, path, window) for window in windows(timeline, rows, most_rows)]


def view(timeline: Timeline, rows: Rows, path: Path, window: Window) -> dict[str, Any]:
    """One part. Times are ticks of `tick_s` since `origin_s`; rows are sorted by lane and start."""
    chosen = window.rows(rows)
    chosen = chosen[np.lexsort((rows.start_s[chosen], rows.lane[chosen]))]
    origin_s = float(rows.start_s[chosen].min(initial=window.start_s))
    end_s = float(rows.end_s[chosen].max(initial=window.end_s))
    tick_s = _tick_s(end_s - origin_s)
    number = np.full(len(rows) + 1, NOTHING)
    number[chosen] = np.arange(len(chosen))
    return {
        "title": title(timeline, window),
        "start_s": window.start_s,
        "end_s": window.end_s,
        "origin_s": origin_s,
        "tick_s": tick_s,
        "steps": _steps(timeline, window),
        "count": len(chosen),
        "rows": {
            **_what(timeline.schedule, rows.op[chosen]),
            "lane": packed(rows.lane[chosen], "u1"),
            "category": packed(rows.category[chosen], "u1"),
            "how": packed(rows.how[chosen], "u1"),
            "by": packed(number[rows.by[chosen]], "i4", deltas=True),
            **_span(rows.start_s[chosen], rows.end_s[chosen], origin_s, tick_s),
        },
        "path": _path(rows, number, path, window, origin_s, tick_s),
    }


def _what(schedule: Schedule, op: NDArray[np.int64]) -> dict[str, Any]:
    """What ops are, and how many bytes they move: a number of `sizes`."""
    ops = schedule.ops
    sizes, size = np.unique(ops.size_bytes[op], return_inverse=True)
    return {
        "kind": packed(ops.kind[op], "u1"),
        "layer": packed(ops.layer[op], "i2", deltas=True),
        "expert": packed(ops.expert[op], "i2"),
        "tokens": packed(ops.tokens[op], "i4"),
        "size": packed(size, "u2"),
        "sizes": sizes.tolist(),
    }


def _path(
    rows: Rows, number: NDArray[np.intp], path: Path, window: Window, origin_s: float, tick_s: float
) -> dict[str, str]:
    """Segments of the critical path in the window, in order of time, with the row of this view that each is of."""
    mine = np.flatnonzero((path.begin_s < window.end_s) & (path.end_s > window.start_s))
    n = 1 + max(int(path.op.max(initial=0)), int(rows.op.max(initial=0)))
    of_op = np.full((2, n), NOTHING)
    of_op[rows.dispatches.astype(np.intp), rows.op] = number[: len(rows)]
    dispatched = (path.lane[mine] == 0) & (of_op[1, path.op[mine]] != NOTHING)
    begin_s = np.maximum(path.begin_s[mine], origin_s)
    return {
        "row": packed(of_op[dispatched.astype(np.intp), path.op[mine]], "i4", deltas=True),
        "cause": packed(path.cause[mine], "u1"),
        "lane": packed(path.lane[mine], "u1"),
        **_span(begin_s, path.end_s[mine], origin_s, tick_s),
    }


def _span(start_s: NDArray[np.float64], end_s: NDArray[np.float64], origin_s: float, tick_s: float) -> dict[str, str]:
    start, end = (np.rint((times - origin_s) / tick_s).astype(np.int64) for times in (start_s, end_s))
    return {"start": packed(start, "u4", deltas=True), "length": packed(end - start, "u4")}


def _tick_s(span_s: float) -> float:
    """A power of ten in seconds, a nanosecond or the shortest that numbers of 32 bits reach the end with."""
    return float(max(1e-9, 10.0 ** np.ceil(np.log10(max(span_s, 1e-9) / _TICKS))))


def _steps(timeline: Timeline, window: Window) -> list[dict[str, Any]]:
    """Ends and names of the steps that are wholly in a window."""
    if window.layers is not None:
        return []
    return [
        {"end_s": float(timeline.step_end_s[i]), "name": _step_name(timeline, i)}
        for i in range(window.first, window.first + window.steps)
    ]


def _step_name(timeline: Timeline, step: int) -> str:
    nth, prefill = number_in_phase(timeline, step), timeline.schedule.steps[step].phase == Phase.PREFILL
    return f"prefill {nth}" if prefill else f"step {nth}"
