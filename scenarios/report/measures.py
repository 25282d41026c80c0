"""What strategies are compared by, as bars: decode speed, time to first token and the whole run, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.report.axis import Axis, axis_for
from scenarios.report.ranking import Entry, contenders
from scenarios.report.units import SECONDS, TOKENS_PER_S, Units, aligned
from sim.intervals import Range


@dataclass(frozen=True)
class Measure:
    """One figure of a run that is compared as bars."""

    title: str
    note: str
    figure: str  # of a Summary
    units: Units
    higher_is_better: bool
    limit: bool = False  # whether the physical limit is one on this figure


_MEASURES = (
    Measure("Decode speed", "more is better", "decode_tokens_per_s", TOKENS_PER_S, True),
    Measure("Time to first token", "less is better", "ttft_s", SECONDS, False),
    Measure("Whole run", "less is better; the line is the limit", "makespan_s", SECONDS, False, limit=True),
)


@dataclass(frozen=True)
class Bar:
    """A run's value and how it reads."""

    entry: Entry
    value: float
    text: str
    range: Range | None
    limit: float | None

    @property
    def ends(self) -> list[float]:
        """The values that the axis has to hold."""
        return [self.value, *(self.range or ()), *([self.limit] if self.limit else [])]


@dataclass(frozen=True)
class Panel:
    """All runs that have a measure, best first: what a user may choose, and what brackets that.

    A run that brackets the others does not stretch the axis: its bar may run off the end.
    """

    measure: Measure
    axis: Axis
    choices: tuple[Bar, ...]
    bounds: tuple[Bar, ...]

    @property
    def note(self) -> str:
        """How it is read."""
        return f"{self.measure.note}, logarithmic axis" if self.axis.log else self.measure.note


def panels(entries: Sequence[Entry]) -> list[Panel]:
    """A panel for each measure that some run has."""
    return [panel for measure in _MEASURES if (panel := _panel(measure, entries)) is not None]


def _panel(measure: Measure, entries: Sequence[Entry]) -> Panel | None:
    bars = _bars(measure, entries)
    if not bars:
        return None
    able = contenders([bar.entry for bar in bars])
    choices, bounds = (tuple(bar for bar in bars if (bar.entry in able) is chosen) for chosen in (True, False))
    return Panel(measure, axis_for([end for bar in choices or bounds for end in bar.ends]), choices, bounds)


def _bars(measure: Measure, entries: Sequence[Entry]) -> list[Bar]:
    """Those runs that have the figure, best first."""
    figures = [(entry, getattr(entry.run.summary, measure.figure)) for entry in entries]
    pairs = [(entry, value) for entry, value in figures if value is not None]
    pairs.sort(key=lambda pair: -pair[1] if measure.higher_is_better else pair[1])
    unit, texts = aligned([value for _, value in pairs], measure.units)
    return [
        Bar(entry, value, f"{text} {unit}", entry.run.ranges.get(measure.figure), _limit_s(entry, measure))
        for (entry, value), text in zip(pairs, texts, strict=True)
    ]


def _limit_s(entry: Entry, measure: Measure) -> float | None:
    return entry.run.limit.limit_s if measure.limit and entry.run.limit is not None else None
