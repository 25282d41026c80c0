"""Comparison bars: decode rate and time to first token, best first, with what brackets them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scenarios.report.axis import Axis, axis_for
from scenarios.report.markup import Html, tag
from scenarios.report.ranking import Entry, contenders
from scenarios.report.units import SECONDS, TOKENS_PER_S, Units, aligned
from scenarios.results import RunResult


@dataclass(frozen=True)
class Measure:
    """One figure of a run that is compared as bars."""

    title: str
    note: str
    value: Callable[[RunResult], float | None]
    units: Units
    higher_is_better: bool


_MEASURES = (
    Measure("Decode speed", "more is better", lambda run: run.summary.decode_tokens_per_s, TOKENS_PER_S, True),
    Measure("Time to first token", "less is better", lambda run: run.summary.ttft_s, SECONDS, False),
)


@dataclass(frozen=True)
class Bar:
    """A run's value and how it reads."""

    entry: Entry
    value: float
    text: str


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
    axis = axis_for([bar.value for bar in choices or bounds])
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
    pairs = [(entry, value) for entry in entries if (value := measure.value(entry.run)) is not None]
    pairs.sort(key=lambda pair: -pair[1] if measure.higher_is_better else pair[1])
    unit, texts = aligned([value for _, value in pairs], measure.units)
    return [Bar(entry, value, f"{text} {unit}") for (entry, value), text in zip(pairs, texts, strict=True)]


def _list(axis: Axis, bars: Sequence[Bar]) -> Html | None:
    return tag("ul", *(_item(axis, bar) for bar in bars), class_="bars") if bars else None


def _item(axis: Axis, bar: Bar) -> Html:
    entry = bar.entry
    beyond = bar.value > axis.top
    fill = tag("i", class_="fill beyond" if beyond else "fill", style=f"width:{axis.share(bar.value):.3%}")
    return tag(
        "li",
        tag("span", entry.label, tag("small", entry.bracket) if entry.bracket else None, class_="name"),
        tag("b", bar.text),
        tag("span", fill, class_="track"),
        class_="dashed" if entry.dashed else None,
        style=f"--paint:{entry.paint}",
        data_label=entry.label,
        data_value=repr(bar.value),
    )


def _marks(measure: Measure, axis: Axis) -> Html | None:
    """The decades of a logarithmic axis."""
    unit = measure.units[0][0]
    marks = [tag("i", f"{at:g} {unit}", style=f"left:{axis.share(at):.3%}") for at in axis.decades]
    return tag("div", *marks, class_="marks") if marks else None
