"""The explanation of one run: its path, its gap to the limit, what would change it, and the runner-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scenarios.cards import explanation_card
from scenarios.limits import Limits
from scenarios.load import ScenarioFile
from scenarios.report.ranking import contenders, rank
from scenarios.resolve import Case, resolve
from scenarios.results import RunResult
from scenarios.run import costs_of_entry, run_entry
from scenarios.whatif.levers import Lever, levers
from sim.critical_path import Path, critical_path
from sim.errors import InputError
from sim.gap import Gap
from sim.notebook import shown

Progress = Callable[[str], None]


@shown(explanation_card)
@dataclass(frozen=True)
class Explanation:
    """One run of a scenario with its critical path and gap.

    `levers`: what would make it faster, the one that decoding hangs on most first. `runner_up`: the best of the other
    strategies that can be used (or the best, if this is another), with its path.
    """

    title: str
    machine: str
    run: RunResult
    path: Path
    gap: Gap
    levers: list[Lever]
    runner_up: tuple[RunResult, Path] | None


def explain(file: ScenarioFile, label: str | None = None, progress: Progress = lambda text: None) -> Explanation:
    """Run a scenario and explain the strategy called `label`, or the best; raises InputError if there is none such."""
    progress("reading")
    case = resolve(file)
    labels = [entry.spec.title for entry in case.entries]
    if label is not None and label not in labels:
        raise InputError("no such strategy", field="--strategy", value=label, remedy=f"choose one of {labels}")
    with file.at():
        runs = []
        for entry in case.entries:
            progress(f"running {entry.spec.title}")
            runs.append(run_entry(case, entry))
        ranked = [entry.number for entry in contenders(rank(runs))] or list(range(len(runs)))
        chosen = ranked[0] if label is None else labels.index(label)
        found = levers(case, case.entries[chosen], progress)
    others = [number for number in ranked if number != chosen]
    run = Limits(case).on(chosen, runs[chosen])
    assert run.gap is not None  # these runs keep their ops
    return Explanation(
        title=case.title,
        machine=case.machine.name,
        run=run,
        path=_path(case, chosen, run),
        gap=run.gap,
        levers=found,
        runner_up=(runs[others[0]], _path(case, others[0], runs[others[0]])) if others else None,
    )


def _path(case: Case, number: int, run: RunResult) -> Path:
    return critical_path(run.timeline, costs_of_entry(case, case.entries[number]).of_schedule(run.schedule))
