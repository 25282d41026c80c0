"""Running a scenario: every strategy is planned, simulated and summed up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from scenarios.load import ScenarioFile
from scenarios.predictors import make_predictor
from scenarios.processes import map_in_processes
from scenarios.resolve import Case, Entry, resolve
from scenarios.results import RunResult, ScenarioResult
from sim.cost import CostModel
from sim.metrics import summarise
from sim.plan import plan
from sim.planning.compiled import Prepared
from sim.predict import Predictor
from sim.retime import EngineName, retime
from sim.schedule import Schedule
from sim.workload import steps

WORTH_PROCESSES = 20_000  # layer passes: some two seconds, several times what starting processes takes


def run_scenario(
    file: ScenarioFile, *, jobs: int = 1, progress: Callable[[str], None] = lambda text: None
) -> ScenarioResult:
    """Plan and simulate all strategies of a scenario; raises InputError if it asks for what cannot be.

    With `jobs`, so many processes share the work if there is enough of it. They import the main module anew, which
    must therefore be importable without side effects.
    """
    progress("reading")
    case = resolve(file)
    jobs = min(jobs, len(case.entries)) if len(case.entries) * layer_passes(case) > WORTH_PROCESSES else 1
    runs = []
    progress(_so_far(case, 0))
    with file.at():
        for run in map_in_processes(partial(run_entry, case), case.entries, jobs):
            runs.append(run)
            progress(_so_far(case, len(runs)))
    return ScenarioResult(case.title, case.model, case.machine, case.spec.model_dump(exclude_none=True), tuple(runs))


def run_entry(case: Case, entry: Entry, engine: EngineName = "fast") -> RunResult:
    """Plan, simulate and sum up one strategy."""
    costs = costs_of_entry(case, entry)
    return time_entry(case, entry, plan_entry(case, entry, costs), costs, engine)


def costs_of_entry(case: Case, entry: Entry) -> CostModel:
    """The prices of the case's machine under the entry's stack."""
    return CostModel(case.machine, case.model, case.precisions, entry.spec.stack or case.spec.stack)


def time_entry(
    case: Case, entry: Entry, schedule: Schedule, costs: CostModel, engine: EngineName = "fast"
) -> RunResult:
    """Time and sum up what a strategy decided: on this machine, or on another one if the schedule is portable."""
    timeline = retime(schedule, costs.of_schedule(schedule), engine)
    return RunResult(
        label=entry.spec.title,
        strategy=entry.spec.name,
        knobs=entry.spec.knobs,
        cached=entry.fit.cached,
        schedule=schedule,
        timeline=timeline,
        summary=summarise(timeline),
        footprint=entry.fit.gpu,
        host_footprint=entry.fit.host,
        fits=entry.fit.fits,
        warnings=(*entry.fit.warnings, *costs.warnings),
    )


def plan_entry(case: Case, entry: Entry, costs: CostModel, prepared: Prepared | None = None) -> Schedule:
    """What one strategy decides; `prepared` is what it shares with other plans, if that is at hand (see `plan`)."""
    return plan(
        entry.strategy(),
        case.model,
        case.precisions,
        case.trace,
        cached=entry.fit.cached,
        batch=case.spec.batch,
        popularity=case.popularity,
        calibration=case.calibration,
        predictor=predictor_of(case, entry),
        costs=costs,
        seed=case.spec.seed,
        prepared=prepared,
    )


def predictor_of(case: Case, entry: Entry) -> Predictor | None:
    """A fresh predictor for one strategy, if it has one; raises InputError if it cannot be trained."""
    named = entry.predictor
    return None if named is None else make_predictor(named, case.model, case.spec.seed, case.calibration)


def layer_passes(case: Case) -> int:
    """Blocks that one strategy runs through."""
    return sum(1 for _ in steps(case.trace, case.spec.batch)) * case.model.n_layers


def _so_far(case: Case, done: int) -> str:
    now = f", now {case.entries[done].spec.title}" if done < len(case.entries) else ""
    return f"{done} of {len(case.entries)} strategies done{now}"
