"""Intervals: the range of every speed that is left by what the measurements behind its prices leave open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.cost import Priced
from sim.metrics import Speeds, speeds
from sim.noise import Normals, names_of, normals, perturbed
from sim.retime import Retimer
from sim.schedule import Schedule
from sim.timeline import StepEnds

DRAWS, LEVEL = 200, 0.9
_FEW = 100
Drawn = dict[str, NDArray[np.float64]]  # by field of Speeds: its value in every draw


class Range(NamedTuple):
    """What holds a figure with a stated probability: as much is left below as above."""

    low: float
    high: float


def ranges(
    schedule: Schedule, priced: Priced, *, draws: int = DRAWS, level: float = LEVEL, seed: int = 0
) -> dict[str, Range]:
    """The range of each field of `Speeds` that the run has, by re-timing under drawn prices.

    All that rests on one measurement errs together: one draw makes every expert on the GPU slower by what the spread
    of its measurement allows, or none. Were each op to err by itself, tens of thousands of errors would average out
    to next to nothing, though the machine that they were measured on was one and the same. Nothing is said of errors
    that prices do not know of (docs/intervals.md). Empty for a schedule whose strategy asked the clock: on another
    computer it would have decided otherwise, so that it has to be planned again. Equal arguments give equal ranges.
    """
    if not schedule.clock_free:
        return {}
    return ranges_of(drawn_speeds(schedule, priced, normals(names_of(priced), draws, seed)), level)


def drawn_speeds(schedule: Schedule, priced: Priced, draws: Sequence[Normals], retimer: Retimer | None = None) -> Drawn:
    """The speeds of a schedule on the computer that each draw stands for; the schedule must be clock-free."""
    retimer, step_ends = retimer or Retimer(schedule), StepEnds(schedule)
    ends = (retimer.times(perturbed(priced, z)).end_s for z in draws)
    return collected([speeds(schedule, step_ends.of(end_s), float(end_s.max(initial=0.0))) for end_s in ends])


def collected(found: Sequence[Speeds]) -> Drawn:
    """The speeds of several draws by field; a field that a run does not have is left out."""
    columns = zip(*found, strict=True)
    return {name: np.array(c) for name, c in zip(Speeds._fields, columns, strict=True) if None not in c}


def ranges_of(drawn: Mapping[str, NDArray[np.float64]], level: float = LEVEL) -> dict[str, Range]:
    """The range of each figure; one that is not positive, or drawn but once, has none."""
    return {name: range_of(values, level) for name, values in drawn.items() if len(values) > 1 and (values > 0).all()}


def range_of(values: NDArray[np.float64], level: float = LEVEL) -> Range:
    """The middle part of some draws that has this share of them.

    The tails of few draws say little: fewer than `_FEW` stand for a log-normal, and the range is where one more draw
    would fall with that probability (Student's t).
    """
    if len(values) >= _FEW:
        return Range(*np.quantile(values, ((1 - level) / 2, (1 + level) / 2)).tolist())
    from scipy.special import stdtrit

    logs = np.log(values)
    width = stdtrit(len(logs) - 1, (1 + level) / 2) * logs.std(ddof=1) * sqrt(1 + 1 / len(logs))
    return Range(exp(logs.mean() - width), exp(logs.mean() + width))
