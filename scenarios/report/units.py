"""Figures that stand under each other: one unit and the same number of decimals for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, log10

Units = tuple[tuple[str, float], ...]  # largest first: name, and what to multiply a value with

SECONDS: Units = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))
SHARE: Units = (("%", 100.0),)
GIGABYTES: Units = (("GB", 1e-9),)
BYTES: Units = (("GB", 1e-9), ("MB", 1e-6), ("kB", 1e-3))
TOKENS_PER_S: Units = (("tok/s", 1.0),)


def aligned(values: Sequence[float | None], units: Units) -> tuple[str, list[str]]:
    """The unit and the texts of some values; `–` for what is not there.

    The unit is the largest in which the largest value is at least 1; the decimals show two digits of the smallest
    value where that leaves the largest readable.
    """
    unit, factor = unit_of(values, units)
    scaled = [None if value is None else value * factor for value in values]
    decimals = _decimals([abs(value) for value in scaled if value])
    return unit, [_text(value, decimals) for value in scaled]


def unit_of(values: Iterable[float | None], units: Units) -> tuple[str, float]:
    """The largest unit in which the largest value is at least 1, and what to multiply values with."""
    largest = max((abs(value) for value in values if value), default=0.0)
    return next((pair for pair in units if largest * pair[1] >= 1), units[-1])


def _text(value: float | None, decimals: int) -> str:
    if not value:
        return "–" if value is None else "0"
    return f"{value:,.{decimals}f}".replace(",", "\u2009")


def _decimals(sizes: Sequence[float]) -> int:
    if not sizes or all(size == round(size) for size in sizes):
        return 0
    most = max(sizes)
    return max(2 - floor(log10(most)), min(2 if most >= 10 else 3, 1 - floor(log10(min(sizes)))), 0)
