"""Running a scenario: every strategy is planned, simulated and summed up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from scenarios.limits import with_limits
from scenarios.load import ScenarioFile
from scenarios.predictors import make_predictor
from scenarios.processes import map_in_processes
from scenarios.resolve import Case, Entry, resolve
from scenarios.results import RunResult, ScenarioResult
from scenarios.streaming import can_stream, layer_passes, nothing_timed, streams, tokens_told
from sim.cost import CostModel
from sim.metrics import Summary, summarise
from sim.plan import plan, plan_windows
from sim.planning.compiled import Prepared
from sim.predict import Predictor
from sim.retime import EngineName, retime, slow_because
from sim.schedule import Schedule
from sim.stream import stream
from sim.timeline import Timeline

_Planned = TypeVar("_Planned")
WORTH_PROCESSES = 20_000  # layer passes: some two seconds, several times what starting processes takes


def run_scenario(
    file: ScenarioFile, *, jobs: int = 1, streamed: bool | None = None, engine: EngineName = "fast",
    progress: Callable[[str], None] = lambda text: None,
) -> ScenarioResult:  # fmt: skip
    """Plan and simulate all strategies of a scenario; raises InputError if it asks for what cannot be.

    With `jobs`, so many processes share the work if there is enough of it. They import the main module anew, which
    must therefore be importable without side effects. With `streamed` the strategies run one after the other, in
    memory that does not grow with the run; None: if they would not fit into memory otherwise.
    """
    progress("reading")
    case = resolve(file)
    if streams(file, case, jobs, streamed):
        return streamed_case(file, case, progress)
    jobs = processes(case, len(case.entries), jobs)
    runs = []
    progress(_so_far(case, 0))
    with file.at():
        for run in map_in_processes(partial(run_entry, case, engine=engine), case.entries, jobs):
            runs.append(run)
            progress(_so_far(case, len(runs)))
    return scenario_result(case, runs)


def processes(case: Case, n_runs: int, most: int) -> int:
    """How many processes to share some runs of a case among; only one knows the classes of a notebook."""
    here_alone = any(entry.kind.__module__ == "__main__" for entry in case.entries)
    worth_it = n_runs * layer_passes(case) > WORTH_PROCESSES
    return min(most, n_runs) if worth_it and not here_alone else 1


def streamed_case(
    file: ScenarioFile, case: Case, progress: Callable[[str], None] = lambda text: None
) -> ScenarioResult:
    """Stream every strategy of a case, and run whole what cannot be streamed.

    One after the other, in this process: a trace that is mapped need not travel.
    """
    runs: list[RunResult] = []
    with file.at():
        for entry in case.entries:
            so_far = _so_far(case, len(runs))
            progress(so_far)
            if can_stream(entry):
                runs.append(stream_entry(case, entry, tokens_told(case, so_far, progress)))
            else:
                runs.append(run_entry(case, entry))
    progress(_so_far(case, len(runs)))
    return scenario_result(case, runs)


def scenario_result(case: Case, runs: Sequence[RunResult]) -> ScenarioResult:
    """All that is told of a scenario, the limits of its runs included."""
    spec = case.spec.model_dump(exclude_none=True)
    return ScenarioResult(case.title, case.model, case.machine, spec, with_limits(case, runs))


def run_entry(case: Case, entry: Entry, engine: EngineName = "fast") -> RunResult:
    """Plan, simulate and sum up one strategy."""
    costs = costs_of_entry(case, entry)
    return time_entry(case, entry, plan_entry(case, entry, costs), costs, engine)


def stream_entry(case: Case, entry: Entry, progress: Callable[[int], None] = lambda tokens: None) -> RunResult:
    """The same in windows, no op of which is kept; `progress` is told how many tokens have been run."""
    costs = costs_of_entry(case, entry)
    planned = _plan_with(plan_windows, case, entry, costs)
    summary = stream(planned, costs, progress)
    return _run_result(case, entry, costs, nothing_timed(planned), summary, streamed=True)


def costs_of_entry(case: Case, entry: Entry) -> CostModel:
    """The prices of the case's machine under the entry's stack."""
    return CostModel(case.machine, case.model, case.precisions, case.stack_of(entry))


def time_entry(
    case: Case, entry: Entry, schedule: Schedule, costs: CostModel, engine: EngineName = "fast"
) -> RunResult:
    """Time and sum up what a strategy decided: on this machine, or on another one if the schedule is portable.

    Raises ScheduleError if it is not, and was planned for another.
    """
    costs.check_planned_for(schedule)
    timeline = retime(schedule, costs.of_schedule(schedule), engine)
    slow = slow_because() if engine == "fast" else None
    return _run_result(case, entry, costs, timeline, summarise(timeline), *([slow] if slow else []))


def _run_result(
    case: Case, entry: Entry, costs: CostModel, timeline: Timeline, summary: Summary, *warnings: str,
    streamed: bool = False,
) -> RunResult:  # fmt: skip
    return RunResult(
        label=entry.spec.title,
        strategy=entry.spec.name,
        knobs=entry.spec.knobs,
        cached=entry.fit.cached,
        schedule=timeline.schedule,
        timeline=timeline,
        summary=summary,
        footprint=entry.fit.gpu,
        host_footprint=entry.fit.host,
        fits=entry.fit.fits,
        warnings=(*entry.fit.warnings, *costs.warnings, *warnings),
        knows_future=entry.kind.needs_future,
        streamed=streamed,
        stack=case.stack_of(entry),
    )


def plan_entry(case: Case, entry: Entry, costs: CostModel, prepared: Prepared | None = None) -> Schedule:
    """What one strategy decides; `prepared` is what it shares with other plans, if that is at hand (see `plan`)."""
    return _plan_with(partial(plan, prepared=prepared), case, entry, costs)


def _plan_with(planner: Callable[..., _Planned], case: Case, entry: Entry, costs: CostModel) -> _Planned:
    return planner(
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
    )


def predictor_of(case: Case, entry: Entry) -> Predictor | None:
    """A fresh predictor for one strategy, if it has one; raises InputError if it cannot be trained."""
    named = entry.predictor
    return None if named is None else make_predictor(named, case.model, case.spec.seed, case.calibration)


def _so_far(case: Case, done: int) -> str:
    now = f", now {case.entries[done].spec.title}" if done < len(case.entries) else ""
    return f"{done} of {len(case.entries)} strategies done{now}"
