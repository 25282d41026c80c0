"""Columns as a page holds them: numbers to six digits, texts as numbers into a list of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from scenarios.explore.figures import HEADINGS
from scenarios.explore.table import SweepTable
from scenarios.sweeping.figures import FIGURES

_DIGITS = 6


def columns(table: SweepTable, rows: Sequence[int]) -> list[dict[str, Any]]:
    """The strategy, the axes that have more than one value, and the figures, of some rows."""
    better = {objective["figure"]: objective["better"] for objective in table.objectives}
    found = [_column("strategy", "Strategy", "strategy", table.columns["strategy"], rows)]
    titles = axis_titles(table)
    for path in table.axes:
        column = _column(path, titles[path], "axis", table.columns[path], rows)
        if len(set(column["codes"] if "codes" in column else column["values"])) > 1:
            found.append(column)
    for name in table.figures:
        title, unit = HEADINGS[name]
        column = _column(name, title, "figure", table.columns[name], rows)
        found.append(column | {"unit": unit, "better": better.get(name, FIGURES[name].better)})
    return found


def axis_titles(table: SweepTable) -> dict[str, str]:
    """What each field is called: by its last part, where that leaves no doubt."""
    titles = {path: _last(path, alone=len((table.scenario or {}).get("strategies", "?")) == 1) for path in table.axes}
    given = list(titles.values())
    return {path: title if given.count(title) == 1 else path for path, title in titles.items()}


def flags(values: Sequence[bool | None], rows: Sequence[int]) -> str:
    """Truth values as a text of 0 and 1."""
    return "".join("1" if values[row] else "0" for row in rows)


def short(value: float) -> float | int | None:
    """A number to six digits, whole if it is; None for what JSON cannot say."""
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.{_DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded


def _column(key: str, title: str, role: str, values: Sequence[Any], rows: Sequence[int]) -> dict[str, Any]:
    """Text where there is some, else numbers."""
    named = {"key": key, "title": title, "role": role}
    picked = [values[row] for row in rows]
    if any(isinstance(value, str | bool) for value in picked):
        names = list(dict.fromkeys(_text(value) for value in picked))
        code = {name: i for i, name in enumerate(names)}
        return named | {"names": names, "codes": [code[_text(value)] for value in picked]}
    return named | {"values": [None if value is None else short(value) for value in picked]}


def _last(path: str, *, alone: bool) -> str:
    """`link.gb_per_s` of a machine, `batch` of a workload, `policy` of strategy 2 unless there is but one."""
    group, _, rest = path.partition(".")
    if group == "strategies":
        number, _, knob = rest.partition(".")
        named = knob or "strategy"
        return named if alone or not number.isdecimal() else f"{named} of {int(number) + 1}"
    return rest if rest and group in ("machine_with", "workload", "trace") else path


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "–" if value is None else str(value)
