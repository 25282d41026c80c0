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


def rate(name: str, items: int, run: Callable[[], object], *, repeats: int = 5) -> Rate:
    """Run once to warm up, then `repeats` times; `items` is what one run handles."""
    run()
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        rates.append(items / (time.perf_counter() - start))
    return Rate(name, statistics.median(rates), min(rates), max(rates))
