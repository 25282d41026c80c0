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


def sample(tasks: Sequence[Task], budget_s: float, yardstick: Task) -> tuple[list[float], list[float]]:
    """Seconds of each of some calls, which take turns, and of the yardstick that runs before each of them.

    The yardstick empties the caches and tells the machine's condition at that moment. A first call warms up and,
    like Triton's do_bench, a second tells how many fit into the budget: at least `LEAST`, at most `MOST`.
    """
    turns = cycle(tasks)
    _timed(next(turns))
    yardstick_s, task_s = _timed(yardstick), _timed(next(turns))
    pairs = [(_timed(yardstick), _timed(next(turns))) for _ in range(repeats_within(budget_s, yardstick_s, task_s))]
    return [task for _, task in pairs], [before for before, _ in pairs]


def repeats_within(budget_s: float, around_s: float, task_s: float) -> int:
    """How often to repeat a task that takes `task_s`, with `around_s` before each, after two calls have been made."""
    if task_s > budget_s > 0:
        return max(1, min(LEAST, int(2 * budget_s / task_s)))
    return int(min(MOST, max(LEAST, budget_s / max(around_s + task_s, 1e-9) - 1)))


def _timed(task: Task) -> float:
    began = perf_counter()
    task()
    return perf_counter() - began
