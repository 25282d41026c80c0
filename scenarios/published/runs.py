"""Running what figures need: every setting, as it stands and over its uncertain inputs, each strategy of it once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from scenarios.processes import map_in_processes
from scenarios.published.load import PaperFile, load_paper, variants
from scenarios.published.quantities import QUANTITIES
from scenarios.published.spec import At
from scenarios.resolve import Case, Entry, resolve
from scenarios.results import RunResult
from scenarios.run import run_entry
from scenarios.vary import Changes
from sim.errors import InputError

Key = tuple[str | None, str, At]  # label, quantity, size
Values = dict[Key, float]


@dataclass(frozen=True)
class Task:
    """One strategy of a setting to run (or nothing, if `label` is None), and what to read of it."""

    paper: str  # path
    setting: int
    changes: str  # as JSON, so that equal ones are one
    label: str | None
    keys: tuple[Key, ...]


def measure(
    files: Sequence[PaperFile], *, ranges: bool, jobs: int = 1,
    progress: Callable[[str, float], None] = lambda text, share: None,
) -> dict[tuple[str, int], list[Values]]:  # fmt: skip
    """All readings by paper name and number of the setting: first as it stands, then, with `ranges`, each variant."""
    todo = [(file.name, task) for file in files for task in tasks(file, ranges=ranges)]
    found: dict[tuple[str, int], dict[str, Values]] = {}
    done = map_in_processes(run_task, [task for _, task in todo], min(jobs, max(1, len(todo))))
    for number, ((name, task), values) in enumerate(zip(todo, done, strict=True), 1):
        found.setdefault((name, task.setting), {}).setdefault(task.changes, {}).update(values)
        progress(f"{name}: {task.label or 'facts'}", number / len(todo))
    return {place: list(by_variant.values()) for place, by_variant in found.items()}


def tasks(file: PaperFile, *, ranges: bool) -> Iterator[Task]:
    """The runs that a paper needs, the plain ones of each setting first."""
    for number, setting in enumerate(file.spec.settings):
        keys = list(setting.readings())
        changed: list[Changes] = [{}, *(variants(setting) if ranges else ())]
        for changes in changed:
            for label in dict.fromkeys(label for label, _, _ in keys):
                mine = tuple(key for key in keys if key[0] == label)
                yield Task(str(file.source.path), number, json.dumps(changes), label, mine)


def run_task(task: Task) -> Values:
    """Run it and read; raises InputError if there is nothing to read a quantity of."""
    case = _case(task.paper, task.setting, task.changes)
    run = None if task.label is None else run_entry(case, _entry(case, task.label))
    return {key: _read(case, run, key) for key in task.keys}


def _entry(case: Case, label: str) -> Entry:
    return next(entry for entry in case.entries if entry.spec.title == label)


def _read(case: Case, run: RunResult | None, key: Key) -> float:
    label, name, at = key
    quantity = QUANTITIES[name]
    value = None
    if run is not None and quantity.run is not None:
        value = quantity.run(run)
    elif quantity.case is not None:
        value = quantity.case(case, at)
    if value is None:
        what = "the setting" if label is None else f"the run of {label}"
        raise InputError(f"{what} has nothing to read this of", field=name, remedy="read another quantity")
    return value


@lru_cache(maxsize=2)
def _case(paper: str, setting: int, changes: str) -> Case:
    return resolve(_paper(paper).scenario(setting, json.loads(changes)))


@lru_cache(maxsize=8)
def _paper(path: str) -> PaperFile:
    return load_paper(path)
