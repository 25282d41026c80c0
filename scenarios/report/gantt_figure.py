"""A still Gantt of a few layers, for documents and papers: what each lane did, and for which expert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.report.categories import CATEGORIES
from scenarios.report.gantt_rows import Rows, rows_of
from scenarios.report.lane_names import short_name
from scenarios.report.palette import CATEGORIES as COLOURS
from scenarios.report.palette import SURFACES
from sim.errors import InputError
from sim.schedule import Kind, Phase
from sim.timeline import Timeline

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_WIDTH, _TITLE, _ROW = 960, 28, 44  # pixels
_FADED = ("dispatch", "wait")
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


def stretch(timeline: Timeline, phase: Phase, number: int, layers: Sequence[int]) -> Stretch:
    """The time from the first of `layers` (its attention) to the end of the last in the `number`-th step of a phase.

    Raises InputError if there is no such step or layer.
    """
    schedule, ends = timeline.schedule, timeline.step_end_s
    steps = [i for i, step in enumerate(schedule.steps) if step.phase == phase]
    attention = schedule.ops.kind == Kind.ATTENTION
    if number >= len(steps):
        raise InputError(f"there are {len(steps)} {phase.name.lower()} steps", field="gantt.step", value=number)
    here = np.flatnonzero(attention & (schedule.ops.step == steps[number]))
    starts = dict(zip(schedule.ops.layer[here].tolist(), timeline.times.start_s[here].tolist(), strict=True))
    if not set(layers) <= set(starts):
        raise InputError(f"the step runs through blocks {min(starts)} to {max(starts)}", field="gantt.layers")
    begin_s, end_s = starts[min(layers)], starts.get(max(layers) + 1, float(ends[steps[number]]))
    return _between(timeline, begin_s, end_s)


def _between(timeline: Timeline, begin_s: float, end_s: float) -> Stretch:
    rows, schedule = rows_of(timeline), timeline.schedule
    chosen = np.flatnonzero((rows.start_s < end_s) & (rows.end_s > begin_s))
    names = [lane.name for lane in schedule.lanes]
    bars = [_bar(timeline, rows, row, names, begin_s, end_s) for row in chosen.tolist()]
    bars = [bar for bar in bars if bar.end_s - bar.start_s > _TINY * (end_s - begin_s)]
    used = {bar.lane for bar in bars}
    return Stretch(tuple(name for name in names if name in used), end_s - begin_s, tuple(bars))


def _bar(timeline: Timeline, rows: Rows, row: int, lanes: list[str], begin_s: float, end_s: float) -> Bar:
    """Clipped to the stretch; rounded to the nanosecond, so that equal runs give equal text."""
    category = CATEGORIES[int(rows.category[row])].name
    start, end = (
        round(min(max(float(times[row]), begin_s), end_s) - begin_s, 9) for times in (rows.start_s, rows.end_s)
    )
    label = "" if category in _FADED else _label(timeline, int(rows.op[row]))
    return Bar(lanes[int(rows.lane[row])], category, label, start, end)


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


def gantt_figure(what: Stretch, title: str = "") -> Figure:
    """The picture of a stretch; `layer/expert` names an expert."""
    from plotly import graph_objects as go

    figure = go.Figure()
    for category in CATEGORIES:
        bars = [bar for bar in what.bars if bar.category == category.name]
        if bars:
            figure.add_trace(_trace(bars, category.name, category.label))
    ink, head = SURFACES["ink"][0], 36 + bool(title) * _TITLE
    figure.update_layout(
        title={"text": title, "font": {"size": 15}, "x": 0.01, "y": 0.98, "yanchor": "top"},
        barmode="overlay", width=_WIDTH, height=head + _ROW * len(what.lanes) + 48,
        font={"family": "Helvetica, Arial, sans-serif", "size": 12, "color": ink},
        plot_bgcolor="#ffffff", paper_bgcolor="#ffffff", margin={"l": 60, "r": 16, "t": head, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        uniformtext={"minsize": 9, "mode": "hide"}, bargap=0.18,
    )  # fmt: skip
    figure.update_xaxes(title="ms", range=[0, 1e3 * what.length_s], gridcolor=SURFACES["line"][0], zeroline=False)
    order = [short_name(lane) for lane in reversed(what.lanes)]
    figure.update_yaxes(categoryorder="array", categoryarray=order)
    return figure


def _trace(bars: Sequence[Bar], name: str, label: str) -> Any:
    from plotly import graph_objects as go

    return go.Bar(
        y=[short_name(bar.lane) for bar in bars],
        x=[1e3 * (bar.end_s - bar.start_s) for bar in bars],
        base=[1e3 * bar.start_s for bar in bars],
        text=[bar.label for bar in bars],
        textposition="inside", insidetextanchor="middle", textangle=0, orientation="h", name=label,
        marker={"color": COLOURS[name][0], "line": {"width": 0.6, "color": "#ffffff"}},
    )  # fmt: skip
