"""Figures as people read them: three digits and a unit."""

from __future__ import annotations


def seconds(value: float | None) -> str:
    """Seconds or milliseconds, three digits."""
    if value is None:
        return "–"
    return f"{1e3 * value:.3g} ms" if value < 0.9995 else f"{value:.3g} s" if value < 999.5 else f"{value:.0f} s"


def change(value_s: float) -> str:
    """Seconds more or less."""
    return f"{'+' if value_s >= 0 else '−'}{seconds(abs(value_s))}"


def number(value: float | None) -> str:
    """Three digits, never in scientific notation above 0.001."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def percent(value: float | None, digits: int = 0) -> str:
    """A share in percent, by default whole, with a digit more where that would say 100 % of what is not all."""
    if value is None:
        return "–"
    return f"{100 * value:.{digits}f} %" if value == 1 or value < 0.995 else f"{100 * value:.{digits + 1}f} %"


def gigabytes(size_bytes: float) -> str:
    """Decimal gigabytes, or megabytes below one."""
    return f"{number(size_bytes / 1e9)} GB" if size_bytes >= 1e9 else f"{number(size_bytes / 1e6)} MB"
