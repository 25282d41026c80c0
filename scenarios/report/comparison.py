"""Comparison bars: decode rate and time to first token, best first, with what brackets them apart."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.report.axis import Axis
from scenarios.report.markup import Html, tag
from scenarios.report.measures import Bar, Measure, Panel, panels
from scenarios.report.ranking import Entry
from sim.intervals import Range
from sim.readable import percent, seconds


def comparison(entries: Sequence[Entry]) -> Html | None:
    """A panel for each measure that some run has; None if there is none."""
    found = panels(entries)
    return tag("div", *map(_markup, found), class_="panels") if found else None


def _markup(panel: Panel) -> Html:
    return tag(
        "div",
        tag("h3", panel.measure.title, tag("small", panel.note)),
        _list(panel.axis, panel.choices),
        _marks(panel.measure, panel.axis),
        tag("p", "For reference, not a choice", class_="apart") if panel.bounds else None,
        _list(panel.axis, panel.bounds),
        class_="panel",
    )


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
