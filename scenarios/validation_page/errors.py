"""Errors as bars to either side of none: by schedule, by cause, by kind of op."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scenarios.report.causes import paint
from scenarios.report.markup import Html, join, tag
from scenarios.validate import Validation
from scenarios.validation_table import signed
from sim.critical_path import Cause
from sim.readable import change, seconds

_MOST = 0.5  # relative error at which a bar ends, if none is larger


class _Row(NamedTuple):
    """One bar: its name, its length (signed), the number beside it, a remark, and a colour."""

    name: str
    value: float
    text: str
    remark: str
    paint: str


def by_schedule(found: Validation) -> Html:
    """In the order of the suite."""
    rows = [
        _Row(
            f"{each.scenario} · {each.label}",
            each.comparison.error,
            signed(each.comparison.error),
            f"measured {seconds(each.comparison.measured_s)}"
            + ("; outside its range" if each.covered is False else ""),
            "var(--s0)" if each.covered is not False else "var(--bad)",
        )
        for each in found.schedules
    ]
    return _bars(rows, max([_MOST, *(abs(row.value) for row in rows)]))


def by_cause(spent: Mapping[str, tuple[float, float]], names: tuple[str, str]) -> Html | None:
    """The difference of the second and the first seconds on critical paths, the largest first."""
    colours = {cause.label: paint(cause) for cause in Cause}
    order = sorted(spent.items(), key=lambda item: -abs(item[1][1] - item[1][0]))
    rows = [
        _Row(
            name,
            there - here,
            change(there - here),
            f"{names[0]} {seconds(here)}, {names[1]} {seconds(there)}",
            colours[name],
        )
        for name, (here, there) in order
        if here or there
    ]
    return join([tag("h3", "On the critical path"), _bars(rows, max(abs(row.value) for row in rows))]) if rows else None


def by_kind(found: Validation) -> Html:
    """The difference of predicted and measured seconds of each kind of op, which overlap in time."""
    rows = [
        _Row(
            f"{kind.kind} on {kind.lane}",
            kind.predicted_s - kind.measured_s,
            change(kind.predicted_s - kind.measured_s),
            f"measured {seconds(kind.measured_s)}, {signed(kind.error)}",
            "var(--s0)",
        )
        for kind in found.kinds
    ]
    return join([tag("h3", "By kind of operation"), _bars(rows, max((abs(row.value) for row in rows), default=0.0))])


def _bars(rows: Sequence[_Row], most: float) -> Html:
    """Bars from the middle; `most` is half the width."""
    items = []
    for row in rows:
        share = 50 * abs(row.value) / (most or 1.0)
        left = 50 - share if row.value < 0 else 50.0
        bar = tag("i", style=f"margin-left:{left:.2f}%;width:{share:.2f}%;--paint:{row.paint}")
        items.append(
            tag(
                "li",
                tag("span", row.name, class_="name"),
                tag("b", row.text),
                tag("span", bar, class_="track middle"),
                tag("span", row.remark, class_="said"),
                data_value=repr(row.value),
            )
        )
    return tag("ul", *items, class_="pace")
