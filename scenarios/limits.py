"""The physical limit of each run of a scenario, and what keeps the run from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scenarios.resolve import Case
from scenarios.results import RunResult
from sim.bounds import Bounder, Bounds
from sim.cost import CostModel
from sim.gap import gap


class Limits:
    """The bounds on the runs of one case; what several runs have in common is worked out once."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._bounders: dict[str | None, Bounder] = {}
        self._known: dict[tuple[str | None, int], Bounds] = {}

    def bounder(self, number: int, run: RunResult) -> Bounder:
        """The bounds of what the run of entry `number` computes: the same for all that follow the router."""
        stack = self._case.stack_of(self._case.entries[number])
        if run.summary.fidelity is not None:
            return self._fresh(stack, run)
        if stack not in self._bounders:
            self._bounders[stack] = self._fresh(stack, run)
        return self._bounders[stack]

    def of(self, number: int, run: RunResult) -> Bounds | None:
        """None for a run of which no ops are kept."""
        if not len(run.schedule):
            return None
        bounder, n_slots = self.bounder(number, run), run.schedule.n_slots
        if not bounder.serial:
            return bounder.bounds(n_slots)
        key = self._case.stack_of(self._case.entries[number]), n_slots
        if key not in self._known:
            self._known[key] = bounder.bounds(n_slots)
        return self._known[key]

    def on(self, number: int, run: RunResult) -> RunResult:
        """The run of entry `number` with its limit and its gap; as it was if none of its ops are kept."""
        limit = self.of(number, run)
        if limit is None:
            return run
        return replace(run, limit=limit, gap=gap(run.timeline, self._fresh(run.stack, run), limit))

    def _fresh(self, stack: str | None, run: RunResult) -> Bounder:
        case = self._case
        return Bounder(run.schedule, CostModel(case.machine, case.model, case.precisions, stack))


def with_limits(case: Case, runs: Sequence[RunResult]) -> tuple[RunResult, ...]:
    """The runs of a case's entries, in their order, with the bounds on each and its gap to them."""
    limits = Limits(case)
    return tuple(limits.on(number, run) for number, run in enumerate(runs))
