"""Views of the Gantt: rows and critical path of a stretch of one timeline or several, packed for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.report.gantt_rows import Rows, rows_of
from scenarios.report.gantt_windows import Window, steps_in, title, windows
from scenarios.report.packing import packed
from sim.critical_path import Path
from sim.releases import NOTHING
from sim.timeline import Timeline

Columns = dict[str, NDArray[Any]]
_TICKS = 2.0**31  # that a view may be long


@dataclass(frozen=True)
class Drawn:
    """A timeline as it is drawn: its rows, its critical path, and which lanes of the picture its own lanes are."""

    timeline: Timeline
    rows: Rows
    path: Path
    lanes: NDArray[np.int64]

    @classmethod
    def of(cls, timeline: Timeline, path: Path, names: Sequence[str] | None = None) -> Drawn:
        """All of a timeline, in a picture of lanes of some names; default: its own."""
        own = [lane.name for lane in timeline.schedule.lanes]
        lanes = np.array([(names or own).index(name) for name in own], np.int64)
        return cls(timeline, rows_of(timeline), path, lanes)


def views(timeline: Timeline, path: Path, most_rows: int) -> list[dict[str, Any]]:
    """The parts of a run that are shown, as plain JSON values."""
    drawn = Drawn.of(timeline, path)
    return [
        view([drawn], window, title(timeline, window), steps_in(timeline, window))
        for window in windows(timeline, drawn.rows, most_rows)
    ]


def view(parts: Sequence[Drawn], window: Window, name: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """A stretch of some timelines, one over the other: lane i of timeline k is lane `i * len(parts) + k` here.

    Times are ticks of `tick_s` since `origin_s`. Rows are sorted by lane and start, segments of paths by start.
    """
    first = np.cumsum([0, *(len(part.rows) for part in parts)])
    rows = _joined([_rows(part, k, len(parts), int(first[k])) for k, part in enumerate(parts)], window)
    path = _joined([_segments(part, k, len(parts), int(first[k])) for k, part in enumerate(parts)], window)
    rows = _taken(rows, np.lexsort((rows["start_s"], rows["lane"])))
    path = _taken(path, np.argsort(path["start_s"], kind="stable"))
    origin_s = float(rows["start_s"].min(initial=window.start_s))
    path["start_s"] = np.maximum(path["start_s"], origin_s)
    tick_s = _tick_s(float(rows["end_s"].max(initial=window.end_s)) - origin_s)
    place = np.full(int(first[-1]) + 1, NOTHING)  # of each row of all timelines among those of this view
    place[rows["number"]] = np.arange(len(rows["number"]))
    return {
        "title": name,
        "start_s": window.start_s,
        "end_s": window.end_s,
        "origin_s": origin_s,
        "tick_s": tick_s,
        "steps": steps,
        "several": len(parts) > 1,
        "count": len(rows["number"]),
        "rows": {
            **{column: packed(rows[column], dtype) for column, dtype in _NARROW.items()},
            "layer": packed(rows["layer"], "i2", deltas=True),
            **_sizes(rows["size_bytes"]),
            "by": packed(place[rows["by"]], "i4", deltas=True),
            **_span(rows, origin_s, tick_s),
        },
        "path": {
            "row": packed(place[path["row"]], "i4", deltas=True),
            "cause": packed(path["cause"], "u1"),
            "lane": packed(path["lane"], "u1"),
            **_span(path, origin_s, tick_s),
        },
    }


_NARROW = {"lane": "u1", "category": "u1", "kind": "u1", "how": "u1", "expert": "i2", "tokens": "i4"}


def _rows(part: Drawn, k: int, n_parts: int, first: int) -> Columns:
    rows, ops = part.rows, part.timeline.schedule.ops
    return {
        "number": first + np.arange(len(rows)),
        "by": np.where(rows.by == NOTHING, NOTHING, rows.by + first),
        "lane": part.lanes[rows.lane] * n_parts + k,
        **{name: getattr(rows, name) for name in ("category", "how", "start_s", "end_s")},
        **{name: getattr(ops, name)[rows.op] for name in ("kind", "layer", "expert", "tokens", "size_bytes")},
    }


def _segments(part: Drawn, k: int, n_parts: int, first: int) -> Columns:
    """Segments of the path, with the row that each is of: an op's, or that of its dispatch."""
    path, rows = part.path, part.rows
    of_op = np.full((2, len(part.timeline.schedule)), NOTHING)
    of_op[rows.dispatches.astype(np.intp), rows.op] = first + np.arange(len(rows))
    dispatched = (path.lane == 0) & (of_op[1, path.op] != NOTHING)
    return {
        "row": of_op[dispatched.astype(np.intp), path.op],
        "cause": path.cause,
        "lane": part.lanes[path.lane] * n_parts + k,
        "start_s": path.begin_s,
        "end_s": path.end_s,
    }


def _joined(parts: Sequence[Columns], window: Window) -> Columns:
    """What of them overlaps a window."""
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _taken(whole, np.flatnonzero((whole["start_s"] < window.end_s) & (whole["end_s"] > window.start_s)))


def _taken(columns: Columns, which: NDArray[np.intp]) -> Columns:
    return {name: column[which] for name, column in columns.items()}


def _sizes(size_bytes: NDArray[np.int64]) -> dict[str, Any]:
    """How many bytes ops move: numbers of `sizes`."""
    sizes, size = np.unique(size_bytes, return_inverse=True)
    return {"size": packed(size, "u2"), "sizes": sizes.tolist()}


def _span(of: Columns, origin_s: float, tick_s: float) -> dict[str, str]:
    start, end = (np.rint((of[name] - origin_s) / tick_s).astype(np.int64) for name in ("start_s", "end_s"))
    return {"start": packed(start, "u4", deltas=True), "length": packed(end - start, "u4")}


def _tick_s(span_s: float) -> float:
    """A power of ten in seconds, a nanosecond or the shortest that numbers of 32 bits reach the end with."""
    return float(max(1e-9, 10.0 ** np.ceil(np.log10(max(span_s, 1e-9) / _TICKS))))
