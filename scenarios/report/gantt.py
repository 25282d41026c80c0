"""Rows of the Gantt: what each lane did in a few steps, as columns of integers for the page's script to draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.report.categories import DISPATCH, categories_of, dispatch_start_s
from sim.schedule import Kind, Phase
from sim.timeline import Timeline

TICK_S = 1e-7  # unit of the starts and lengths
_DECODE_STEPS = 3


@dataclass(frozen=True)
class Window:
    """A stretch of a run: consecutive steps, or the first `layers` blocks of one (None: all of them)."""

    phase: Phase
    first: int
    steps: int
    start_s: float
    end_s: float
    layers: int | None = None


@dataclass(frozen=True)
class Rows:
    """All that can be drawn of a Timeline: its ops that take time, and each op's dispatch on the host lane."""

    op: NDArray[np.int64]
    lane: NDArray[np.int64]
    category: NDArray[np.int64]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]

    def within(self, window: Window) -> NDArray[np.int64]:
        """Indices of the rows that overlap a window."""
        return np.flatnonzero((self.start_s < window.end_s) & (self.end_s > window.start_s))


def rows_of(timeline: Timeline) -> Rows:
    """Ops and dispatches of a whole timeline, in issue order."""
    ops, times = timeline.schedule.ops, timeline.times
    numbers, n = np.arange(len(ops)), len(ops)
    start = np.concatenate([times.start_s, dispatch_start_s(timeline)])
    end = np.concatenate([times.end_s, times.dispatched_s])
    lane = np.concatenate([ops.lane.astype(np.int64), np.zeros(n, np.int64)])
    category = np.concatenate([categories_of(timeline), np.full(n, DISPATCH)])
    op = np.concatenate([numbers, numbers])
    order = np.argsort(op, kind="stable")
    order = order[end[order] > start[order]]
    return Rows(op[order], lane[order], category[order], start[order], end[order])


def windows(timeline: Timeline, most_bars: int) -> list[Window]:
    """The first prefill, and three decode steps from the middle of the run, each as far as `most_bars` reach."""
    rows, steps = rows_of(timeline), timeline.schedule.steps
    found = []
    for phase, most_steps in ((Phase.PREFILL, 1), (Phase.DECODE, _DECODE_STEPS)):
        numbers = [i for i, step in enumerate(steps) if step.phase == phase]
        if numbers:
            first = numbers[0] if phase == Phase.PREFILL else numbers[max(0, (len(numbers) - most_steps) // 2)]
            found.append(_reach(timeline, rows, first, most_steps, most_bars))
    return found


def views(timeline: Timeline, most_bars: int) -> list[dict[str, Any]]:
    """The windows with their bars, as plain JSON values; times in ticks from the window's start."""
    rows = rows_of(timeline)
    return [_view(timeline, rows, window) for window in windows(timeline, most_bars)]


def _reach(timeline: Timeline, rows: Rows, first: int, most_steps: int, most_bars: int) -> Window:
    """As many whole steps as fit, or else as many blocks of the first one."""
    steps, ends = timeline.schedule.steps, timeline.step_end_s
    phase, start_s = steps[first].phase, float(ends[first - 1]) if first else 0.0
    for count in range(most_steps, 0, -1):
        if all(step.phase == phase for step in steps[first : first + count]) and first + count <= len(steps):
            window = Window(phase, first, count, start_s, float(ends[first + count - 1]))
            if len(rows.within(window)) <= most_bars:
                return window
    layers = [Window(phase, first, 1, start_s, end_s, i + 1) for i, end_s in enumerate(_block_ends(timeline, first))]
    few_enough = [window for window in layers if len(rows.within(window)) <= most_bars]
    return few_enough[-1] if few_enough else layers[0]


def _block_ends(timeline: Timeline, step: int) -> list[float]:
    """When each block of a step is over: the next one's attention starts."""
    ops = timeline.schedule.ops
    starts = timeline.times.start_s[(ops.step == step) & (ops.kind == Kind.ATTENTION)]
    return [*starts[1:].tolist(), float(timeline.step_end_s[step])]


def _view(timeline: Timeline, rows: Rows, window: Window) -> dict[str, Any]:
    schedule, chosen = timeline.schedule, rows.within(window)
    op = rows.op[chosen]
    sizes, size = np.unique(schedule.ops.size_bytes[op], return_inverse=True)
    start, end = (_ticks(times[chosen] - window.start_s) for times in (rows.start_s, rows.end_s))
    ends = timeline.step_end_s[window.first : window.first + window.steps]
    return {
        "title": _title(timeline, window),
        "first_step": _nth(timeline, window) if window.phase == Phase.DECODE else None,
        "start_s": window.start_s,
        "span": int(_ticks(np.array([window.end_s - window.start_s]))[0]),
        "step_ends": _ticks(ends - window.start_s).tolist() if window.layers is None else [],
        "sizes": sizes.tolist(),
        "bars": {
            "lane": rows.lane[chosen].tolist(),
            "category": rows.category[chosen].tolist(),
            "kind": schedule.ops.kind[op].tolist(),
            "layer": schedule.ops.layer[op].tolist(),
            "expert": schedule.ops.expert[op].tolist(),
            "size": size.tolist(),
            "start": start.tolist(),
            "length": (end - start).tolist(),
        },
    }


def _ticks(times_s: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(times_s / TICK_S).astype(np.int64)


def _nth(timeline: Timeline, window: Window) -> int:
    """Number of the window's first step among those of its phase, from 1."""
    return 1 + sum(step.phase == window.phase for step in timeline.schedule.steps[: window.first])


def _title(timeline: Timeline, window: Window) -> str:
    part = "" if window.layers is None else f", first {window.layers} of {timeline.schedule.model.n_layers} layers"
    if window.phase == Phase.PREFILL:
        return f"Prefill{part}"
    nth = _nth(timeline, window)
    span = f"steps {nth}–{nth + window.steps - 1}" if window.steps > 1 else f"step {nth}"
    return f"Decode, {span}{part}"
