"""A campaign: calibrate a computer, execute a suite on it, compare, and keep all that in one folder, within a budget.

Everything is kept as soon as it is measured. A campaign that was stopped, or ran out of time, goes on where it was.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from hwexec.backend import Backend
from hwexec.execute import execute
from scenarios.load import ScenarioFile
from scenarios.presets import load_model
from scenarios.recordings import baseline, store
from scenarios.recordings.deadline import Deadline
from scenarios.recordings.folder import MACHINE, VALIDATION
from scenarios.recordings.hardware import Hardware
from scenarios.recordings.predict import predict_all
from scenarios.recordings.store import Recording, add_recording, names_in
from scenarios.resolve import Case, Entry, named, resolve
from scenarios.run import costs_of_entry, plan_entry
from scenarios.validate import Validation
from sim.errors import InputError, MoesimError
from sim.machine import Machine
from sim.model import MoEModel
from sim.precision import Precisions
from sim.retime import retime
from sim.schedule import Schedule

CALIBRATION_SHARE = 0.28  # of the budget
_KEEP_SHARE = 0.08  # of the budget, for comparing
_TELLING = ("cpu", "gpu", "cores", "memory_bytes", "driver")
_MOST_FAILURES = 3  # in a row: the hardware, not the schedules
Say = Callable[[str, float], None]


@dataclass(frozen=True)
class Job:
    """One schedule to be executed, and how long that is predicted to take once."""

    case: Case
    entry: Entry
    schedule: Schedule
    predicted_s: float

    @property
    def key(self) -> tuple[str, str]:
        """How recordings tell it."""
        return self.case.title, self.entry.spec.title


@dataclass
class Outcome:
    """What a campaign came to: `left` schedules found no time, `failed` ones say why."""

    machine: Machine
    recorded: int = 0
    left: int = 0
    failed: list[str] = field(default_factory=list)
    validation: Validation | None = None

    @property
    def complete(self) -> bool:
        """Whether every schedule was executed."""
        return not self.left and not self.failed


def run_campaign(
    title: str, files: Callable[[Path], Sequence[ScenarioFile]], hardware: Hardware, out: Path, *, budget_s: float,
    repeats: int, say: Say, unseen: Container[str] = (),
) -> Outcome:  # fmt: skip
    """Do what is left of a campaign; calibration does not measure the models whose names are `unseen`.

    `files` gives the scenarios of the suite for a machine file. Raises InputError before anything is measured if a
    model of it cannot be found, later if a scenario cannot be resolved, or if the folder is another computer's.
    """
    deadline = Deadline(budget_s, _KEEP_SHARE * budget_s)
    models = [each for each in models_of(files(out / MACHINE)) if each[0].name not in unseen]
    machine = _calibrated(hardware, out / MACHINE, CALIBRATION_SHARE * budget_s, models, say)
    jobs = list(_planned(files(out / MACHINE)))
    gc.collect()  # what calibration held on the GPU
    outcome = Outcome(machine)
    with closing(hardware.backend()) as backend:
        _execute(jobs, backend, out / store.FILE, repeats, deadline, outcome, say)
    if outcome.recorded:
        say("comparing", 1.0)
        outcome.validation = predict_all(title, out / store.FILE, machine)
        outcome.validation.write_json(out / VALIDATION)
        baseline.save_baseline(out / baseline.FILE, outcome.validation)
    return outcome


def models_of(files: Sequence[ScenarioFile]) -> list[tuple[MoEModel, Precisions]]:
    """The models and precisions of a suite, each once."""
    found: dict[str, tuple[MoEModel, Precisions]] = {}
    for file in files:
        with file.at("model"):
            model = load_model(named("model", file.spec.model, file))
        precisions = Precisions(**file.spec.precision.model_dump())
        found.setdefault(f"{model.name} {precisions}", (model, precisions))
    return list(found.values())


def _calibrated(
    hardware: Hardware, path: Path, budget_s: float, models: Sequence[tuple[MoEModel, Precisions]], say: Say
) -> Machine:
    """The machine file that is there, or a new one."""
    if path.exists():
        return Machine.load(path)
    return hardware.calibrate(path, budget_s, models, lambda what, share: say(f"calibrating: {what}", share))


def _planned(files: Sequence[ScenarioFile]) -> Iterator[Job]:
    """Every schedule in the order of the suite."""
    for case in [resolve(file) for file in files]:
        for entry in case.entries:
            costs = costs_of_entry(case, entry)
            schedule = plan_entry(case, entry, costs)
            yield Job(case, entry, schedule, retime(schedule, costs.of_schedule(schedule)).makespan_s)


def _execute(
    jobs: Sequence[Job], backend: Backend, path: Path, repeats: int, deadline: Deadline, outcome: Outcome, say: Say
) -> None:
    """Execute and keep what is not yet there and is likely to end in time."""
    there = set(names_in(path))
    in_a_row = 0
    for number, job in enumerate(jobs):
        if job.key in there:
            outcome.recorded += 1
        elif in_a_row >= _MOST_FAILURES or not deadline.allows(repeats * job.predicted_s):
            outcome.left += 1
        else:
            say(f"{job.key[0]}: {job.key[1]}", number / len(jobs))
            in_a_row = 0 if _record(job, backend, path, repeats, deadline, outcome) else in_a_row + 1


def _record(job: Job, backend: Backend, path: Path, repeats: int, deadline: Deadline, outcome: Outcome) -> bool:
    """Execute one schedule and keep it; whether that was possible."""
    began = perf_counter()
    try:
        runs = execute(job.schedule, backend, repeats=repeats)
    except (MoesimError, RuntimeError) as error:  # of a GPU that has failed, torch says so in its own words
        outcome.failed.append(f"{job.key[0]}: {job.key[1]}: {' '.join(str(error).split())}")
        return False
    recording = Recording.of(*job.key, runs)
    _check_computer(recording.fingerprint, outcome.machine, path)
    add_recording(path, recording)
    worked_s = sum(run.makespan_s for run in runs)
    deadline.learn(repeats * job.predicted_s, worked_s, perf_counter() - began)
    outcome.recorded += 1
    return True


def _check_computer(fingerprint: Mapping[str, str], machine: Machine, where: Path) -> None:
    """Refuse to mix computers, as far as both fingerprints tell."""
    for name in _TELLING:
        if fingerprint.get(name) != machine.fingerprint.get(name):
            raise InputError(
                f"is of another computer: {name} is {machine.fingerprint.get(name)}, here {fingerprint.get(name)}",
                file=where.parent / MACHINE, remedy="choose another folder",
            )  # fmt: skip
