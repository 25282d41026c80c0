"""Figures in words, the same in the terminal, in the document and on the page."""

from __future__ import annotations

from scenarios.published.compare import Ranked, Simulated
from scenarios.published.spec import Figure
from sim.readable import number

EVIDENCE = {
    "text": "read in the paper",
    "code": "read in the authors' code",
    "second": "quoted by a third party",
    "figure": "read off a figure, ± a few %",
    "derived": "arithmetic on other figures",
}


def reported(figure: Figure) -> str:
    """< 40 %"""
    sign = {"below": "< ", "above": "> ", None: ""}[figure.bound]
    return sign + amount(figure, figure.reported)


def simulated(figure: Figure, found: Simulated) -> str:
    """4.1 (3.9 – 4.6) tok/s; no range where nothing is uncertain."""
    value = amount(figure, found.value)
    if found.low == found.high:
        return value
    low, high = (number(_scaled(figure, each)) for each in (found.low, found.high))
    return f"{value} ({low} – {high})"


def ratio(figure: Figure, found: Simulated) -> float | None:
    """Simulated over reported; None for a bound."""
    return None if figure.bound else found.value / figure.reported


def target(figure: Figure) -> str:
    """± 25 %, or ± 3 points where shares may be so far apart."""
    if figure.bound:
        return figure.bound
    if figure.unit == "%" and figure.within.absolute is not None:
        return f"± {number(100 * figure.within.absolute)} points"
    return f"± {figure.within}"


def held(found: Ranked) -> str:
    """In how many runs an order holds."""
    if found.runs == 1:
        return "holds" if found.met else "does not hold"
    return f"holds in {found.held} of {found.runs} runs"


def amount(figure: Figure, value: float) -> str:
    """A value in the figure's unit."""
    unit = "" if not figure.unit else figure.unit if figure.unit == "×" else f" {figure.unit}"
    return number(_scaled(figure, value)) + unit


def _scaled(figure: Figure, value: float) -> float:
    """Shares are told in percent."""
    return 100 * value if figure.unit == "%" else value
