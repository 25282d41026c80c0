"""Simulated beside reported: the value of every figure, its range over uncertain inputs, and whether it agrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from scenarios.published.load import PaperFile
from scenarios.published.runs import Values, measure
from scenarios.published.spec import At, Figure, Order, Setting


@dataclass(frozen=True)
class Simulated:
    """What the simulator says of one figure: the value as its inputs stand, lowest and highest over their ranges."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Ranked:
    """What it says of an order: the values as the inputs stand, and in how many of all runs the order holds."""

    values: tuple[float, ...]
    held: int
    runs: int

    @property
    def met(self) -> bool:
        """Whether the order holds as the inputs stand."""
        return _descends(self.values)


@dataclass(frozen=True)
class Outcome:
    """All that was simulated of one setting, by id."""

    figures: dict[str, Simulated]
    orders: dict[str, Ranked]


def missed(setting: Setting, outcome: Outcome) -> list[tuple[list[str], str]]:
    """Likely causes, and what each figure or order that misses by it says."""
    says = {figure.id: figure.says for figure in setting.figures if not figure.met(outcome.figures[figure.id].value)}
    says |= {order.id: f"order: {order.says}" for order in setting.orders if not outcome.orders[order.id].met}
    found = [([says[name] for name in miss.of if name in says], miss.cause) for miss in setting.misses]
    return [(names, cause) for names, cause in found if names]


def evaluate(
    files: Sequence[PaperFile], *, ranges: bool = True, jobs: int = 1,
    progress: Callable[[str, float], None] = lambda text, share: None,
) -> dict[str, dict[str, Outcome]]:  # fmt: skip
    """Simulate all figures of some papers: outcome by paper and setting. Without `ranges` each input as it stands."""
    measured = measure(files, ranges=ranges, jobs=jobs, progress=progress)
    return {
        file.name: {
            setting.name: outcome(setting, measured[file.name, number])
            for number, setting in enumerate(file.spec.settings)
        }
        for file in files
    }


def outcome(setting: Setting, runs: Sequence[Values]) -> Outcome:
    """Put readings together: `runs` are those of the setting as it stands, then of each variant."""
    return Outcome(
        {figure.id: _simulated([value_of(figure, run) for run in runs]) for figure in setting.figures},
        {order.id: _ranked(order, runs) for order in setting.orders},
    )


def value_of(figure: Figure, run: Values) -> float:
    """The figure as one set of readings has it."""

    def read(label: str | None) -> float:
        return run[label, figure.read, figure.at]

    value = read(figure.of)
    if figure.over:
        value /= fmean(map(read, figure.over))
    if figure.minus:
        value -= fmean(map(read, figure.minus))
    return value * figure.times


def _simulated(values: Sequence[float]) -> Simulated:
    return Simulated(values[0], min(values), max(values))


def _ranked(order: Order, runs: Sequence[Values]) -> Ranked:
    found = [tuple(run[label, order.read, At()] for label in order.of) for run in runs]
    return Ranked(found[0], sum(map(_descends, found)), len(found))


def _descends(values: Sequence[float]) -> bool:
    return all(before > after for before, after in pairwise(values))
