"""Comparison bars: decode rate and time to first token, best first, with what brackets them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.report.axis import Axis, axis_for
from scenarios.report.markup import Html, tag
from scenarios.report.ranking import Entry, contenders
from scenarios.report.units import SECONDS, TOKENS_PER_S, Units, aligned
from sim.intervals import Range
from sim.readable import percent, seconds


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


def comparison(entries: Sequence[Entry]) -> Html | None:
    """A panel for each measure that some run has; None if there is none."""
    panels = [panel for measure in _MEASURES if (panel := _panel(measure, entries)) is not None]
    return tag("div", *panels, class_="panels") if panels else None


def _panel(measure: Measure, entries: Sequence[Entry]) -> Html | None:
    """A run that brackets the others does not stretch the axis: its bar may run off the end."""
    bars = _bars(measure, entries)
    if not bars:
        return None
    able = contenders([bar.entry for bar in bars])
    choices, bounds = ([bar for bar in bars if (bar.entry in able) is chosen] for chosen in (True, False))
    axis = axis_for([end for bar in choices or bounds for end in bar.ends])
    note = f"{measure.note}, logarithmic axis" if axis.log else measure.note
    return tag(
        "div",
        tag("h3", measure.title, tag("small", note)),
        _list(axis, choices),
        _marks(measure, axis),
        tag("p", "For reference, not a choice", class_="apart") if bounds else None,
        _list(axis, bounds),
        class_="panel",
    )


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


def _list(axis: Axis, bars: Sequence[Bar]) -> Html | None:
    return tag("ul", *(_item(axis, bar) for bar in bars), class_="bars") if bars else None


def _item(axis: Axis, bar: Bar) -> Html:
    entry = bar.entry
    beyond = bar.value > axis.top
    fill = tag("i", class_="fill beyond" if beyond else "fill", style=f"width:{axis.share(bar.value):.3%}")
    return tag(
        "li",
        tag("span", entry.label, tag("small", entry.bracket) if entry.bracket else None, class_="name"),
        tag("b", bar.text, tag("small", f"{percent(entry.run.of_limit)} of limit") if bar.limit else None),
        tag("span", fill, _whisker(axis, bar.range), _limit(axis, bar.limit), class_="track"),
        class_="dashed" if entry.dashed else None,
        style=f"--paint:{entry.paint}",
        data_label=entry.label,
        data_value=repr(bar.value),
    )


def _whisker(axis: Axis, known: Range | None) -> Html | None:
    """The range of a bar's end."""
    if known is None or known.low >= axis.top:
        return None
    left, right = axis.share(known.low), axis.share(known.high)
    return tag(
        "i",
        class_="whisker",
        style=f"left:{left:.3%};width:{right - left:.3%}",
        title=f"range {known.low:.3g} to {known.high:.3g}",
        data_low=repr(known.low),
        data_high=repr(known.high),
    )


def _limit(axis: Axis, limit: float | None) -> Html | None:
    """A line where no strategy with as many slots can be faster."""
    if not limit:
        return None
    at = f"left:{axis.share(limit):.3%}"
    return tag("i", class_="limit", style=at, title=f"physical limit {seconds(limit)}", data_limit=repr(limit))


def _marks(measure: Measure, axis: Axis) -> Html | None:
    """The decades of a logarithmic axis."""
    unit = measure.units[0][0]
    marks = [tag("i", f"{at:g} {unit}", style=f"left:{axis.share(at):.3%}") for at in axis.decades]
    return tag("div", *marks, class_="marks") if marks else None
