"""A stretch of a run for a still Gantt: what each lane did in a few layers or steps, and for which expert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scenarios.report.categories import CATEGORIES
from scenarios.report.gantt_rows import Rows, rows_of
from scenarios.report.gantt_windows import Window, one_window, title, within
from sim.critical_path import Cause, Path
from sim.errors import InputError
from sim.schedule import Kind, Phase
from sim.timeline import Timeline

_FADED = ("dispatch", "wait")
_HOST = (Cause.DISPATCH, Cause.SYNCHRONISATION, Cause.WAKE_UP)
_MOST_ROWS = 220  # that a still picture can show
_TINY = 1 / 2000  # of the width: not visible


@dataclass(frozen=True)
class Bar:
    """One op on one lane, in seconds from the beginning of the stretch."""

    lane: str
    category: str
    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Stretch:
    """What all lanes did while some consecutive layers of one step ran on the GPU."""

    lanes: tuple[str, ...]
    length_s: float
    bars: tuple[Bar, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Stretch:
        """What `to_dict` gave."""
        bars = tuple(Bar(**bar) for bar in data["bars"])
        return cls(tuple(data["lanes"]), data["length_s"], bars)


@dataclass(frozen=True)
class Span:
    """Some time of a run, in its seconds, and what a reader calls it."""

    begin_s: float
    end_s: float
    name: str

    def cut(self, start_s: float, end_s: float) -> tuple[float, float]:
        """What of a time lies within, since the beginning; to the nanosecond, so that equal runs give equal text."""
        start, end = (round(min(max(at, self.begin_s), self.end_s) - self.begin_s, 9) for at in (start_s, end_s))
        return start, end

    def shows(self, bar: Bar) -> bool:
        """Whether a bar is long enough to be seen."""
        return bar.end_s - bar.start_s > _TINY * (self.end_s - self.begin_s)


def layers_span(timeline: Timeline, phase: Phase, number: int, layers: Sequence[int]) -> Span:
    """The time from the first of `layers` (its attention) to the end of the last in the `number`-th step of a phase.

    Raises InputError if there is no such step or layer.
    """
    schedule, ends = timeline.schedule, timeline.step_end_s
    steps = [i for i, step in enumerate(schedule.steps) if step.phase == phase]
    attention = schedule.ops.kind == Kind.ATTENTION
    if not 0 <= number < len(steps):
        raise InputError(f"there are {len(steps)} {phase.name.lower()} steps", field="gantt.step", value=number)
    here = np.flatnonzero(attention & (schedule.ops.step == steps[number]))
    starts = dict(zip(schedule.ops.layer[here].tolist(), timeline.times.start_s[here].tolist(), strict=True))
    if not set(layers) <= set(starts):
        raise InputError(f"the step runs through blocks {min(starts)} to {max(starts)}", field="gantt.layers")
    first, last = min(layers), max(layers)
    end_s = starts.get(last + 1, float(ends[steps[number]]))
    these = f"layer {first}" if first == last else f"layers {first}–{last}"
    return Span(starts[first], end_s, f"{phase.name.lower()}, step {number + 1}, {these}")


def typical_span(timeline: Timeline) -> Span:
    """The whole run if it is short, or else steps from the middle of decoding, or only the first layers of one."""
    return _span(timeline, one_window(timeline, rows_of(timeline), _MOST_ROWS))


def typical_spans(upper: Timeline, lower: Timeline) -> tuple[Span, Span]:
    """The same steps, or layers of one, in two timelines, which must have equally many of both."""
    window = one_window(upper, rows_of(upper), _MOST_ROWS)
    return _span(upper, window), _span(lower, within(lower, window))


def _span(timeline: Timeline, window: Window) -> Span:
    name = title(timeline, window)
    return Span(window.start_s, window.end_s, f"{name[0].lower()}{name[1:]}")


def stretch(timeline: Timeline, span: Span) -> Stretch:
    """What happened in a span."""
    rows = rows_of(timeline)
    chosen = np.flatnonzero((rows.start_s < span.end_s) & (rows.end_s > span.begin_s))
    names = [lane.name for lane in timeline.schedule.lanes]
    bars = [bar for row in chosen.tolist() if span.shows(bar := _bar(timeline, rows, row, names, span))]
    used = {bar.lane for bar in bars}
    return Stretch(tuple(name for name in names if name in used), span.end_s - span.begin_s, tuple(bars))


def path_bars(path: Path, span: Span) -> tuple[Bar, ...]:
    """The critical path within a span; categories are the names of causes."""
    names = [lane.name for lane in path.timeline.schedule.lanes]
    bars = []
    for i in np.flatnonzero((path.begin_s < span.end_s) & (path.end_s > span.begin_s)).tolist():
        cut = span.cut(float(path.begin_s[i]), float(path.end_s[i]))
        cause = Cause(path.cause[i])
        label = "" if cause in _HOST else _label(path.timeline, int(path.op[i]))
        bars.append(Bar(names[int(path.lane[i])], cause.name, label, *cut))
    return tuple(bar for bar in bars if span.shows(bar))


def _bar(timeline: Timeline, rows: Rows, row: int, lanes: list[str], span: Span) -> Bar:
    category = CATEGORIES[int(rows.category[row])].name
    label = "" if category in _FADED else _label(timeline, int(rows.op[row]))
    return Bar(lanes[int(rows.lane[row])], category, label, *span.cut(float(rows.start_s[row]), float(rows.end_s[row])))


def _label(timeline: Timeline, op: int) -> str:
    ops = timeline.schedule.ops
    layer, expert, kind = int(ops.layer[op]), int(ops.expert[op]), Kind(ops.kind[op])
    expert_name = f"{layer}/{expert}" if expert >= 0 else f"layer {layer}"
    match kind:
        case Kind.EXPERT:
            return expert_name if expert >= 0 else "shared"
        case Kind.LOAD | Kind.READ:
            return f"{expert_name} in"
        case Kind.UNLOAD:
            return f"{expert_name} out"
        case Kind.ATTENTION:
            return f"attention {layer}"
        case _:
            return kind.name.lower()
