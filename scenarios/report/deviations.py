"""Deviations as bars to either side of none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scenarios.report.causes import paint
from scenarios.report.markup import Html, join, tag
from sim.critical_path import Cause
from sim.readable import change, seconds


class Deviation(NamedTuple):
    """One bar: its name, its length (signed), the number beside it, a remark, and a CSS colour."""

    name: str
    value: float
    text: str
    remark: str
    paint: str = "var(--s0)"


def deviation_bars(rows: Sequence[Deviation], least: float = 0.0) -> Html:
    """Bars from the middle; half the width is `least`, or the longest of them if that is longer."""
    most = max([least, *(abs(row.value) for row in rows)]) or 1.0
    return tag("ul", *(_item(row, 50 * abs(row.value) / most) for row in rows), class_="pace")


def cause_bars(spent: Mapping[str, tuple[float, float]], names: tuple[str, str]) -> Html | None:
    """The deviations of `by_cause` as bars; None if there are none."""
    rows = by_cause(spent, names)
    return join([tag("h3", "On the critical path"), deviation_bars(rows)]) if rows else None


def by_cause(spent: Mapping[str, tuple[float, float]], names: tuple[str, str]) -> list[Deviation]:
    """By what the second of two critical paths is longer, cause by cause, the largest change first."""
    colours = {cause.label: paint(cause) for cause in Cause}
    return [
        Deviation(
            name, b_s - a_s, change(b_s - a_s), f"{names[0]} {seconds(a_s)}, {names[1]} {seconds(b_s)}", colours[name]
        )
        for name, (a_s, b_s) in sorted(spent.items(), key=lambda item: -abs(item[1][1] - item[1][0]))
        if a_s or b_s
    ]


def _item(row: Deviation, share: float) -> Html:
    left = 50 - share if row.value < 0 else 50.0
    bar = tag("i", style=f"margin-left:{left:.2f}%;width:{share:.2f}%;--paint:{row.paint}")
    return tag(
        "li",
        tag("span", row.name, class_="name"),
        tag("b", row.text),
        tag("span", bar, class_="track middle"),
        tag("span", row.remark, class_="said"),
        data_value=repr(row.value),
    )
