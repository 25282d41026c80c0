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

    `measure(budget_s, known)` returns new samples by name; `known` are those of all units so far. A unit that measures
    again what another has measured can be `spared`.
    """

    name: str
    budget_s: float
    measure: Callable[[float, Samples], Samples]
    spared: bool = False


def run_units(units: Sequence[Unit], journal: Journal, budget_s: float, progress: Progress) -> None:
    """Do the units that the journal does not hold; shorten what is left when earlier ones took too long.

    Where that is not enough, on a computer that is slower than expected, units that can be spared are left out.
    """
    began = perf_counter() - sum(journal.spent_s.values())
    todo = [unit for unit in units if unit.name not in journal.spent_s]
    left_s = sum(unit.budget_s for unit in todo)
    needed_s = sum(unit.budget_s for unit in todo if not unit.spared)
    for number, unit in enumerate(units):
        if unit.name in journal.spent_s:
            continue
        now = perf_counter()
        if not unit.spared:
            needed_s -= unit.budget_s
        elif now - began + needed_s > budget_s:
            left_s -= unit.budget_s
            continue
        progress(unit.name, number / len(units))
        pace = (budget_s - (now - began)) / left_s if left_s > 0 else 1.0
        samples = unit.measure(unit.budget_s * min(1.0, max(_LEAST_PACE, pace)), journal.samples)
        journal.add(unit.name, samples, perf_counter() - now)
        left_s -= unit.budget_s
    progress("done", 1.0)
