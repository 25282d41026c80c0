"""Fitting a style to statistics: least squares over synthetic traces that all come from the same draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.synth.draw import synthesize
from sim.synth.style import Style
from sim.trace import RoutingTrace
from sim.trace_stats import CACHE_PERCENTS, POLICIES, stats

TOLERANCES = {
    "entropy": 0.02,
    "top_share": 0.03,
    "reuse": 0.03,
    "overlap_8": 0.03,
    "overlap_32": 0.03,
    "next_recall": 0.04,
} | {f"{policy}_{percent}": 0.03 for policy in POLICIES for percent in CACHE_PERCENTS}
"""How far a statistic of a synthetic trace may be off its target; fits weigh differences by it."""
_WEIGHED = TOLERANCES | {"reuse_by_popularity": 0.06, "next_recall_by_popularity": 0.08}

_STEP = 0.07
_LONGEST, _SHORTEST = math.log(200), math.log(0.15)  # tokens that a state lasts: longer ones are what tasks are for
_PRECISION = 1e-3
_LAYERS = 4
_SEEDS = (0, 1)

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Parameter:
    """One number of a style as the search sees it; `lasting` ones are persistences, seen as log of tokens they last."""

    name: str
    highest: float
    lasting: bool = False
    lowest: float = 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        return (_SHORTEST, _LONGEST) if self.lasting else (self.lowest, self.highest)

    def seen(self, style: Style) -> float:
        value = float(getattr(style, self.name))
        lowest, highest = self.bounds
        if self.lasting:
            value = _LONGEST if value >= 1 else math.log(-1 / math.log(max(value, 1e-9)))
        return min(max(value, lowest + _PRECISION), highest - _PRECISION)

    def meant(self, value: float) -> float:
        return math.exp(-math.exp(-value)) if self.lasting else float(value)


_PARAMETERS = (
    _Parameter("popularity", 8),
    _Parameter("popularity_skew", 2, lowest=-1),
    _Parameter("popularity_spread", 0.5),
    _Parameter("task", 8),
    _Parameter("task_spread", 1.5),
    _Parameter("context", 8),
    _Parameter("context_persistence", 1, lasting=True),
    _Parameter("token", 8),
    _Parameter("token_persistence", 1, lasting=True),
    _Parameter("layer", 8),
    _Parameter("layer_persistence", 1, lasting=True),
)
_TASK_PARAMETERS = ("task", "task_spread")


@dataclass(frozen=True, slots=True)
class Goal:
    """What to fit: `targets`, means over layers of statistics of a trace of `sequences` [tokens of each]."""

    n_layers: int
    n_experts: int
    top_k: int
    sequences: Sequence[int]
    targets: Mapping[str, float]


def shortened(trace: RoutingTrace, tokens: int) -> RoutingTrace:
    """The first tokens of a trace, gate weights included."""
    return RoutingTrace(
        ids=trace.ids[:tokens],
        offsets=np.unique(np.minimum(trace.offsets, tokens)),
        prompt_tokens=np.zeros(len(np.unique(np.minimum(trace.offsets, tokens))) - 1, np.int64),
        n_experts=trace.n_experts,
        weights=None if trace.weights is None else trace.weights[:tokens],
    )


def goal_of(trace: RoutingTrace) -> Goal:
    """The goal to be like a trace, all tokens alike; raises InputError if it is too short to have statistics."""
    means = {name: value for name, value in stats(trace).means().items() if not math.isnan(value)}
    if "reuse" not in means:
        raise InputError("is too short to be fitted", field="tokens", value=trace.n_tokens, remedy="record more")
    return Goal(trace.n_layers, trace.n_experts, trace.top_k, np.diff(trace.offsets).tolist(), means)


def start_style(*, tasks: int = 1, task_tokens: float = 0.0, directions: int = 4) -> Style:
    """Where fits begin: what is not fitted, and ordinary values for the rest."""
    return Style(
        popularity=0.3,
        popularity_skew=0.1,
        popularity_spread=0.2,
        task=1.0 if tasks > 1 else 0.0,
        task_spread=0.3 if tasks > 1 else 0.0,
        tasks=tasks,
        task_tokens=task_tokens,
        context=0.6,
        context_persistence=0.98,
        token=1.0,
        token_persistence=0.4,
        layer=0.3,
        layer_persistence=0.8,
        directions=directions,
    )


def fit(
    goal: Goal,
    start: Style,
    *,
    n_layers: int = _LAYERS,
    seeds: Sequence[int] = _SEEDS,
    rounds: int = 12,
    progress: Callable[[int, float], Any] = lambda evaluation, cost: None,
) -> Style:
    """The style near `start` whose traces come nearest to the goal's targets.

    Minimises the sum of squared differences over TOLERANCES, by scipy's trust-region least squares with differences of
    a fixed step, since equal seeds make a synthetic trace's statistics a nearly smooth function of its style. A model
    of `n_layers` stands for all layers, `seeds` are averaged. Number of tasks, their length, `layer_drift` and
    `directions` stay as in `start`, and `noise` is 1: only ratios of strengths choose experts. `progress` is told
    the number of evaluations so far and half the sum of squares.
    """
    from scipy.optimize import least_squares

    free = [each for each in _PARAMETERS if start.tasks > 1 or each.name not in _TASK_PARAMETERS]
    low, high = (np.array(bounds) for bounds in zip(*(each.bounds for each in free), strict=True))
    names = [name for name in _WEIGHED if name in goal.targets]
    target = np.array([goal.targets[name] for name in names])
    tolerance = np.array([_WEIGHED[name] for name in names])
    evaluations = 0

    def style(values: Vector) -> Style:
        fitted = {each.name: each.meant(value) for each, value in zip(free, values, strict=True)}
        return Style.from_dict(asdict(start) | fitted | {"noise": 1.0})

    def residuals(values: Vector) -> Vector:
        nonlocal evaluations
        means = synthetic_means(goal, style(values), seeds, min(n_layers, goal.n_layers))
        found: Vector = (np.array([means[name] for name in names]) - target) / tolerance
        evaluations += 1
        progress(evaluations, float(found @ found) / 2)
        return found

    def slopes(values: Vector) -> Vector:
        here = residuals(values)
        steps = np.where(values + _STEP > high, -_STEP, _STEP)
        moved = values + np.diag(steps)
        return np.stack([(residuals(row) - here) / step for row, step in zip(moved, steps, strict=True)], axis=1)

    first = np.array([each.seen(start) for each in free])
    found = least_squares(
        residuals, first, slopes, bounds=(low, high), max_nfev=rounds, xtol=_PRECISION, ftol=_PRECISION
    )
    return style(found.x)


def synthetic_means(goal: Goal, style: Style, seeds: Sequence[int], n_layers: int | None = None) -> dict[str, float]:
    """Mean statistics of synthetic traces of a goal's shape, or of fewer layers, over `seeds`."""
    sequences = [(0, tokens) for tokens in goal.sequences]
    layers = n_layers or goal.n_layers
    each = [
        stats(synthesize(layers, goal.n_experts, goal.top_k, sequences, seed=seed, style=style)).means()
        for seed in seeds
    ]
    return {name: float(np.mean([means[name] for means in each])) for name in each[0]}
