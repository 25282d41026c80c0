"""Timing a callable by its best and median, with what was run beside it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """Items a second over several runs: the median and the extremes."""

    name: str
    per_s: float
    low: float
    high: float


def rate(
    name: str,
    items: int,
    run: Callable[[], object],
    *,
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> Rate:  # fmt: skip
    """Run once to warm up, then `repeats` times; `items` is what one run handles."""
    run()
    rates = []
    for _ in range(repeats):
        start = clock()
        run()
        rates.append(items / (clock() - start))
    return Rate(name, statistics.median(rates), min(rates), max(rates))
