"""What is expected, with its range: the best runs on computers as they might be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scenarios.advise.question import precisions
from scenarios.advise.trial import Trial, Tried
from scenarios.results import RangesMade, RunResult
from sim.cost import CostModel
from sim.intervals import LEVEL, drawn_speeds, ranges_of
from sim.noise import names_of, normals
from sim.retime import slow_because

DRAWS = 60
_SHOWN = 3  # of those that are best


def give_ranges(trial: Trial) -> None:
    """Give ranges to the best runs of a trial and to released software, all under the same draws.

    A run has none where timing is not compiled, or if its strategy asks the clock.
    """
    ranked = trial.ranked()
    chosen = [*ranked[:_SHOWN], *(each for each in ranked[_SHOWN:] if each.contender.released)]
    if slow_because() is None:
        trial.tried = [_ranged(trial, each) if _among(each, chosen) else each for each in trial.tried]


def _among(each: Tried, some: Sequence[Tried]) -> bool:
    return any(each is one for one in some)


def _ranged(trial: Trial, each: Tried) -> Tried:
    return replace(each, run=_with_ranges(trial, each.run)) if each.run.schedule.clock_free else each


def _with_ranges(trial: Trial, run: RunResult) -> RunResult:
    ground, schedule = trial.ground, run.schedule
    prices = CostModel(ground.machine, ground.model, precisions(trial.weights), ground.stack)
    priced = prices.price(schedule.ops, schedule.lanes, schedule.classes)
    drawn = drawn_speeds(schedule, priced, normals(names_of(priced), DRAWS))
    made = RangesMade(LEVEL, DRAWS, (ground.question.seed,), planned_anew=False)
    return replace(run, ranges=ranges_of(drawn), drawn=drawn, ranges_made=made)
