"""The work of a calibration as a list of small units, which a journal can tick off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from calibrate.journal import Journal, Samples

Progress = Callable[[str, float], None]
_LEAST_PACE = 0.25


@dataclass(frozen=True)
class Unit:
    """One measurement: its name, its seconds of the budget, and how to make it.

    `measure(budget_s, known)` returns new samples by name; `known` are those of all units so far.
    """

    name: str
    budget_s: float
    measure: Callable[[float, Samples], Samples]


def run_units(units: Sequence[Unit], journal: Journal, budget_s: float, progress: Progress) -> None:
    """Do the units that the journal does not hold; shorten what is left when earlier ones took too long."""
    began = perf_counter() - sum(journal.spent_s.values())
    left_s = sum(unit.budget_s for unit in units if unit.name not in journal.spent_s)
    for number, unit in enumerate(units):
        if unit.name in journal.spent_s:
            continue
        progress(unit.name, number / len(units))
        now = perf_counter()
        pace = (budget_s - (now - began)) / left_s if left_s > 0 else 1.0
        samples = unit.measure(unit.budget_s * min(1.0, max(_LEAST_PACE, pace)), journal.samples)
        journal.add(unit.name, samples, perf_counter() - now)
        left_s -= unit.budget_s
    progress("done", 1.0)
