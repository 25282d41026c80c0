"""How a call is timed: estimated once, then repeated for as long as its share of the budget lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from time import perf_counter

import numpy as np

from hwexec.backend import Task

LEAST, MOST = 3, 200  # repetitions
NOISY = 0.15  # relative spread above which a measurement is called noisy


@dataclass(frozen=True)
class Figure:
    """Median seconds, and the interquartile range relative to it."""

    seconds: float
    spread: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Figure:
        """Summarise raw samples."""
        low, middle, high = np.quantile(np.asarray(samples, np.float64), (0.25, 0.5, 0.75))
        return cls(float(middle), float((high - low) / middle) if middle > 0 else 0.0)


def sample(tasks: Sequence[Task], budget_s: float, between: Task | None = None) -> list[float]:
    """Seconds of each of some calls, which take turns so that none finds its data in a cache.

    `between` runs before each timed call and counts against the budget only. A first call warms up and, like
    Triton's do_bench, tells how many fit: at least `LEAST`, at most `MOST`.
    """
    turns = cycle(tasks)
    once = _timed(next(turns), between)
    began = perf_counter()
    estimate = _timed(next(turns), between)
    whole = perf_counter() - began
    repeats = int(min(MOST, max(LEAST, (budget_s - whole) / max(whole, 1e-9))))
    if once > budget_s > 0 and repeats == LEAST:
        repeats = max(1, min(LEAST, int(2 * budget_s / estimate)))
    return [_timed(next(turns), between) for _ in range(repeats)]


def _timed(task: Task, between: Task | None) -> float:
    if between is not None:
        between()
    began = perf_counter()
    task()
    return perf_counter() - began
