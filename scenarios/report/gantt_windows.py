"""Which parts of a run the Gantt shows: all of it, or as much as a page has room for."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.report.gantt_rows import Rows
from sim.schedule import Kind, Phase, numbers_in_phase
from sim.timeline import Timeline


@dataclass(frozen=True)
class Window:
    """A stretch of a run: consecutive steps of one phase, or the first `layers` blocks of one (None: all of them).

    Of a whole run, `phase` is None.
    """

    phase: Phase | None
    first: int
    steps: int
    start_s: float
    end_s: float
    layers: int | None = None

    def rows(self, rows: Rows) -> NDArray[np.int64]:
        """Those that overlap it."""
        return np.flatnonzero((rows.start_s < self.end_s) & (rows.end_s > self.start_s))


def windows(timeline: Timeline, rows: Rows, most_rows: int) -> list[Window]:
    """The whole run, or else the first prefill and decode steps from its middle on; of `most_rows` rows in all."""
    if len(rows) <= most_rows:
        return [_whole(timeline)]
    found: list[Window] = []
    for phase, share in ((Phase.PREFILL, most_rows // 2), (Phase.DECODE, most_rows)):
        if numbers := _steps_of(timeline, phase):
            room = share - sum(len(window.rows(rows)) for window in found)
            found.append(_window(timeline, rows, numbers, room))
    return found


def one_window(timeline: Timeline, rows: Rows, most_rows: int) -> Window:
    """The whole run, or else decode steps from its middle on, or else of the first prefill, as far as rows reach."""
    if len(rows) <= most_rows:
        return _whole(timeline)
    for phase in (Phase.DECODE, Phase.PREFILL):
        if numbers := _steps_of(timeline, phase):
            return _window(timeline, rows, numbers, most_rows)
    return _whole(timeline)


def _whole(timeline: Timeline) -> Window:
    return Window(None, 0, len(timeline.schedule.steps), 0.0, timeline.makespan_s)


def _steps_of(timeline: Timeline, phase: Phase) -> list[int]:
    return [i for i, step in enumerate(timeline.schedule.steps) if step.phase == phase]


def _window(timeline: Timeline, rows: Rows, numbers: list[int], most_rows: int) -> Window:
    """The first prefill; or decode steps of one batch, from the middle one on, as many as there is room for."""
    steps = timeline.schedule.steps
    if steps[numbers[0]].phase == Phase.PREFILL:
        return _reach(timeline, rows, numbers[0], 1, most_rows)
    first = numbers[max(0, (len(numbers) - 1) // 2)]
    run_on = next((i for i in range(first, len(steps)) if steps[i].phase == Phase.PREFILL), len(steps))
    return _reach(timeline, rows, first, run_on - first, most_rows)


def _reach(timeline: Timeline, rows: Rows, first: int, most_steps: int, most_rows: int) -> Window:
    """As many whole steps as fit, or else as many blocks of the first one."""
    phase = timeline.schedule.steps[first].phase

    def part(steps: int, layers: int | None = None) -> Window:
        return within(timeline, Window(phase, first, steps, 0.0, 0.0, layers))

    count = bisect_right(range(1, most_steps + 1), most_rows, key=lambda count: len(part(count).rows(rows)))
    if count:
        return part(count)
    blocks = [part(1, i + 1) for i in range(len(_block_ends(timeline, first)))]
    few_enough = [window for window in blocks if len(window.rows(rows)) <= most_rows]
    return few_enough[-1] if few_enough else blocks[0]


def within(timeline: Timeline, window: Window) -> Window:
    """The same steps or blocks with the times that they have in a timeline, of whatever schedule the window was."""
    if window.phase is None:
        return _whole(timeline)
    ends, first = timeline.step_end_s, window.first
    last_s = (
        ends[first + window.steps - 1] if window.layers is None else _block_ends(timeline, first)[window.layers - 1]
    )
    return replace(window, start_s=float(ends[first - 1]) if first else 0.0, end_s=float(last_s))


def _block_ends(timeline: Timeline, step: int) -> list[float]:
    """When each block of a step is over: the next one's attention starts."""
    ops = timeline.schedule.ops
    starts = timeline.times.start_s[(ops.step == step) & (ops.kind == Kind.ATTENTION)]
    return [*starts[1:].tolist(), float(timeline.step_end_s[step])]


def title(timeline: Timeline, window: Window) -> str:
    """What the reader chooses it by."""
    if window.phase is None:
        return "Whole run"
    part = "" if window.layers is None else f", first {window.layers} of {timeline.schedule.model.n_layers} layers"
    if window.phase == Phase.PREFILL:
        return f"Prefill{part}"
    nth = numbers_in_phase(timeline.schedule)[window.first]
    span = f"steps {nth}–{nth + window.steps - 1}" if window.steps > 1 else f"step {nth}"
    return f"Decode, {span}{part}"


def steps_in(timeline: Timeline, window: Window) -> list[dict[str, Any]]:
    """Ends and names of the steps that are wholly in a window."""
    if window.layers is not None:
        return []
    steps, numbers = timeline.schedule.steps, numbers_in_phase(timeline.schedule)
    return [
        {
            "end_s": float(timeline.step_end_s[i]),
            "name": f"{'prefill' if steps[i].phase == Phase.PREFILL else 'step'} {numbers[i]}",
        }
        for i in range(window.first, window.first + window.steps)
    ]
