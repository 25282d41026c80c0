"""A search for the best compromises: points are asked of Optuna batch by batch, and their rows told back."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scenarios.sweeping.axes import Axis, Choice, rounded
from scenarios.sweeping.columns import Row
from scenarios.sweeping.points import Choices
from scenarios.sweeping.spec import ConstraintSpec, SweepSpec
from sim.errors import InputError

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

_REPEATS = 50  # suggestions of what is known already, in a row, after which there is no point in going on
_VIOLATIONS = "violations"


class Search:
    """Asks for new points and learns from their rows; equal rows, in equal batches, lead to equal points.

    A point that is suggested again is not evaluated again: the search is told at once what is known of it.
    """

    def __init__(self, spec: SweepSpec, axes: Sequence[Axis]) -> None:
        self._spec, self._axes = spec, axes
        self._study = _study(spec)
        self._known: dict[Choices, Row] = {}
        self._asked: list[tuple[Trial, Choices]] = []

    def ask(self, n: int) -> list[Choices]:
        """Up to `n` points that have not been asked for before; none if no more can be found."""
        found: dict[Choices, None] = {}
        repeats = 0
        while len(found) < n and repeats < _REPEATS and not self._exhausted(len(found)):
            trial = self._study.ask()
            choices = tuple(_suggested(trial, axis) for axis in self._axes)
            if choices in self._known:
                self._tell(trial, self._known[choices])
                repeats += 1
                continue
            repeats = repeats + 1 if choices in found else 0
            found[choices] = None
            self._asked.append((trial, choices))
        return list(found)

    def tell(self, rows: Mapping[Choices, Row]) -> None:
        """What became of the points that were asked for last."""
        self._known.update(rows)
        for trial, choices in self._asked:
            self._tell(trial, self._known[choices])
        self._asked.clear()

    def _exhausted(self, more: int) -> bool:
        sizes = [len(axis.values) for axis in self._axes]
        return all(sizes) and len(self._known) + more >= math.prod(sizes)

    def _tell(self, trial: Trial, row: Row) -> None:
        from optuna.trial import TrialState

        values: list[float] = [row[o.figure] for o in self._spec.objectives if row[o.figure] is not None]
        violations = [_violation(row, bound) for bound in self._spec.constraints]
        if len(values) < len(self._spec.objectives) or not (row["feasible"] or any(violations)):
            self._study.tell(trial, state=TrialState.FAIL)
            return
        trial.set_user_attr(_VIOLATIONS, violations)
        self._study.tell(trial, values)


def _study(spec: SweepSpec) -> Study:
    try:
        import optuna
        from optuna.study import StudyDirection
    except ImportError as error:
        raise InputError("a search needs Optuna", field="method", remedy="pip install 'moesim[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    better = {"higher": StudyDirection.MAXIMIZE, "lower": StudyDirection.MINIMIZE}
    directions = [better[objective.better] for objective in spec.objectives]
    return optuna.create_study(directions=directions, sampler=_sampler(spec))


def _sampler(spec: SweepSpec) -> BaseSampler:
    from optuna.samplers import NSGAIISampler, TPESampler

    bounded: dict[str, Any] = {"constraints_func": _violations} if spec.constraints else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that constraints are an experimental feature of theirs
        if spec.sampler == "tpe":
            return TPESampler(seed=spec.seed, n_startup_trials=spec.batch, **bounded)
        return NSGAIISampler(seed=spec.seed, population_size=max(2, spec.batch), **bounded)


def _suggested(trial: Trial, axis: Axis) -> Choice:
    """A choice on one axis: by its place where the values are in order, else by name."""
    if axis.values:
        if axis.ordered:
            return trial.suggest_int(axis.path, 0, len(axis.values) - 1)
        return int(trial.suggest_categorical(axis.path, list(range(len(axis.values)))))
    span = axis.span
    assert span is not None
    log = span.scale == "log"
    if span.whole:
        return trial.suggest_int(axis.path, round(span.low), round(span.high), log=log)
    return rounded(trial.suggest_float(axis.path, span.low, span.high, log=log), span)


def _violations(trial: FrozenTrial) -> Sequence[float]:
    kept: list[float] = trial.user_attrs[_VIOLATIONS]
    return kept


def _violation(row: Row, bound: ConstraintSpec) -> float:
    """How far a row is beyond a bound; 0 within it."""
    value = row[bound.figure]
    if value is None:
        return math.inf
    beyond = [0.0]
    if bound.at_most is not None:
        beyond.append(value - bound.at_most)
    if bound.at_least is not None:
        beyond.append(bound.at_least - value)
    return max(beyond)
