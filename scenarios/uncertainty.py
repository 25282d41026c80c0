"""Uncertainty: a scenario run on computers and requests as they might be, and the ranges that these leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from scenarios.load import ScenarioFile
from scenarios.processes import map_in_processes
from scenarios.resolve import Case, Entry, reseeded, resolve
from scenarios.results import RangesMade, RunResult, ScenarioResult
from scenarios.run import (
    costs_of_entry,
    plan_entry,
    processes,
    run_scenario,
    scenario_result,
    streamed_case,
    time_entry,
)
from scenarios.streaming import layer_passes, streams
from sim import origins
from sim.intervals import DRAWS, LEVEL, Drawn, collected, drawn_speeds, ranges_of
from sim.metrics import Speeds, speeds
from sim.noise import Normals, drawn_machine, normals
from sim.retime import EngineName, Retimer, retime, slow_because

SEEDS = 4  # of synthetic requests, beside the scenario's own
REPLANS, _FEWEST_REPLANS = 10, 4  # draws for which a strategy that asks the clock is planned anew
SLOW_DRAWS = 100  # of a schedule that has to be timed event by event
_UNHURRIED = 200_000  # blocks to plan: some ten seconds of one core
_BY_THE_CLOCK = 4  # times as long as other plans take
_Task = tuple[int, int]  # turn, number of the strategy


@dataclass(frozen=True)
class Effort:
    """How many draws, seeds and plans ranges are made of."""

    draws: int
    seeds: int
    replans: int


def effort(case: Case, seeds: int | None = None, draws: int = DRAWS) -> Effort:
    """The effort for `seeds` further seeds; by default as many, up to a few, as take no longer than some ten seconds.

    It hangs on the size of the scenario alone, so that ranges are the same on every computer.
    """
    one = layer_passes(case)
    most = SEEDS if seeds is None else seeds
    replans = REPLANS if seeds is not None else min(REPLANS, _UNHURRIED // (_BY_THE_CLOCK * one))
    if seeds is None:
        most = min(SEEDS, _UNHURRIED // (one * len(case.entries)))
    return Effort(draws, most if case.spec.workload is not None else 0, replans if replans >= _FEWEST_REPLANS else 0)


def run_with_ranges(
    file: ScenarioFile, *, seeds: int | None = None, draws: int = DRAWS, jobs: int = 1, streamed: bool | None = None,
    engine: EngineName = "fast", progress: Callable[[str], None] = lambda text: None,
) -> ScenarioResult:  # fmt: skip
    """Run a scenario as `scenarios.run.run_scenario` does, with a range for every speed of every strategy.

    `draws` computers take turns with the scenario's seed and, where requests are synthetic, `seeds` further ones, each
    of which costs a plan (default: what `effort` says). Draw number i is one computer and one seed for all strategies
    alike, so that they can be compared draw by draw. Streamed runs have no ranges.
    """
    if slow_because() is not None:
        result = run_scenario(file, jobs=jobs, streamed=streamed, engine=engine, progress=progress)
        return _all_without(result, "they take Numba")
    progress("reading")
    case = resolve(file)
    if streams(file, case, jobs, streamed):
        return _all_without(streamed_case(file, case, progress), "streamed runs keep nothing that could be drawn again")
    of = effort(case, seeds, draws)
    cases = (case, *(reseeded(case, file, case.spec.seed + i) for i in range(1, of.seeds + 1)))
    tasks = [(turn, number) for turn in range(len(cases)) for number in range(len(case.entries))]
    jobs = processes(case, len(tasks), jobs)
    runs, drawn = [], []
    progress(_doing(case, tasks, 0))
    with file.at():
        for run, found in map_in_processes(partial(_run, cases, of, engine), tasks, jobs):
            runs += [] if run is None else [run]
            drawn.append(found)
            progress(_doing(case, tasks, len(drawn)))
    by_strategy = [_interleaved(drawn[number :: len(case.entries)]) for number in range(len(case.entries))]
    made = tuple(each.spec.seed for each in cases)
    results = [_with_ranges(run, each, made) for run, each in zip(runs, by_strategy, strict=True)]
    return scenario_result(case, results)


def _run(cases: Sequence[Case], of: Effort, engine: EngineName, task: _Task) -> tuple[RunResult | None, Drawn]:
    """One strategy under one seed: as it is expected to run, if the seed is the scenario's own, and drawn."""
    turn, number = task
    case, entry = cases[turn], cases[turn].entries[number]
    prices = costs_of_entry(case, entry)
    schedule = plan_entry(case, entry, prices)
    run = time_entry(case, entry, schedule, prices, engine) if turn == 0 else None
    computers = normals(origins.of_machine(case.machine), of.draws)
    if not schedule.clock_free:
        return run, collected([_planned_anew(case, entry, z) for z in computers[turn : of.replans : len(cases)]])
    priced, retimer = prices.price(schedule.ops, schedule.lanes, schedule.classes), Retimer(schedule)
    draws = of.draws if retimer.quick(priced.costs()) else min(of.draws, SLOW_DRAWS)
    return run, drawn_speeds(schedule, priced, computers[turn : draws : len(cases)], retimer)


def _planned_anew(case: Case, entry: Entry, computer: Normals) -> Speeds:
    """The speeds of a strategy that decides by the clock, on another computer."""
    case = replace(case, machine=drawn_machine(case.machine, computer))
    prices = costs_of_entry(case, entry)
    schedule = plan_entry(case, entry, prices)
    timeline = retime(schedule, prices.of_schedule(schedule))
    return speeds(schedule, timeline.step_end_s, timeline.makespan_s)


def _interleaved(turns: Sequence[Drawn]) -> Drawn:
    """The draws of several turns in the order of their numbers, up to the first that is missing.

    Figures that not all turns have are left out.
    """
    shared = [name for name in turns[0] if all(name in turn for turn in turns)]
    whole: Drawn = {}
    for name in shared:
        n = min(len(turn[name]) * len(turns) + i for i, turn in enumerate(turns))
        whole[name] = np.empty(n)
        for i, turn in enumerate(turns):
            places = whole[name][i :: len(turns)]
            places[:] = turn[name][: len(places)]
    return whole


def _with_ranges(run: RunResult, drawn: Drawn, seeds: tuple[int, ...]) -> RunResult:
    if not drawn:
        return _without(
            run, "it asks the clock, and planning it anew for other computers takes long; --seeds N does it"
        )
    made = RangesMade(
        level=LEVEL,
        draws=max((len(values) for values in drawn.values()), default=0),
        trace_seeds=seeds,
        planned_anew=not run.schedule.clock_free,
    )
    return replace(run, ranges=ranges_of(drawn), drawn=drawn, ranges_made=made)


def _all_without(result: ScenarioResult, why: str) -> ScenarioResult:
    return replace(result, runs=tuple(_without(run, why) for run in result.runs))


def _without(run: RunResult, why: str) -> RunResult:
    return replace(run, warnings=(*run.warnings, f"no ranges: {why}"))


def _doing(case: Case, tasks: Sequence[_Task], done: int) -> str:
    if done == len(tasks):
        return f"{done} of {len(tasks)} runs done"
    turn, number = tasks[done]
    seed = f" with seed {case.spec.seed + turn}" if turn else ""
    return f"{done} of {len(tasks)} runs done, now {case.entries[number].spec.title}{seed}"
