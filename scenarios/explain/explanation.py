"""The explanation of one run: its path, its gap to the limit, what would change it, and the runner-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from scenarios.adjust import adjusted
from scenarios.advise.levers import FACTOR, machine_changes
from scenarios.limits import Limits
from scenarios.load import ScenarioFile
from scenarios.report.ranking import contenders, rank
from scenarios.resolve import Case, Entry, resolve
from scenarios.results import RunResult
from scenarios.run import costs_of_entry, run_entry
from sim.critical_path import Path, critical_path
from sim.errors import InputError
from sim.gap import Gap, gap

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Explanation:
    """One run of a scenario with its critical path and gap.

    `gains`: how many times as fast it would be, planned anew, with `FACTOR` times as much of each part of the machine
    or as many experts cached. `runner_up`: the best of the other strategies that can be used (or the best, if this is
    another), with its path.
    """

    title: str
    machine: str
    run: RunResult
    path: Path
    gap: Gap
    gains: dict[str, float]
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
        progress("looking for what limits it")
        gains = _gains(case, case.entries[chosen], runs[chosen].summary.makespan_s)
    others = [number for number in ranked if number != chosen]
    limits = Limits(case)
    limit = limits.of(chosen, runs[chosen])
    assert limit is not None  # these runs keep their ops
    run = replace(runs[chosen], limit=limit)
    return Explanation(
        title=case.title,
        machine=case.machine.name,
        run=run,
        path=_path(case, chosen, run),
        gap=gap(run.timeline, limits.bounder(chosen, run), limit),
        gains=gains,
        runner_up=(runs[others[0]], _path(case, others[0], runs[others[0]])) if others else None,
    )


def _path(case: Case, number: int, run: RunResult) -> Path:
    return critical_path(run.timeline, costs_of_entry(case, case.entries[number]).of_schedule(run.schedule))


def _gains(case: Case, entry: Entry, now_s: float) -> dict[str, float]:
    """Largest first."""
    changed: dict[str, tuple[Case, Entry]] = {}
    for name, (changes, _) in machine_changes(case.machine).items():
        if "gpu.memory_gib" not in changes:  # more experts cached, which is below
            changed[name] = replace(case, machine=adjusted(case.machine, changes)), entry
    more = min(case.model.n_slots_total, round(FACTOR * entry.fit.cached))
    strategy = entry.strategy()
    if strategy.slots(case.model) is None and not strategy.equal_shares and more > entry.fit.cached:
        changed["experts cached"] = case, replace(entry, fit=replace(entry.fit, cached=more))
    gains = {name: now_s / run_entry(*each).summary.makespan_s for name, each in changed.items()}
    return dict(sorted(gains.items(), key=lambda item: -item[1]))
