from __future__ import annotations

from functools import partial
from time import perf_counter, sleep

import pytest

from calibrate.sampling import LEAST, MOST, Figure, sample


def nothing() -> None:
    pass


def test_tasks_take_turns_and_the_yardstick_precedes_each() -> None:
    log: list[str] = []
    seconds, conditions = sample([partial(log.append, "a"), partial(log.append, "b")], 0.0, partial(log.append, "-"))
    assert log[:7] == ["a", "-", "b", "-", "a", "-", "b"]
    assert len(seconds) == len(conditions) == LEAST
    assert len(log) == 3 + 2 * LEAST


def test_only_the_task_is_timed_as_such_but_the_yardstick_counts_against_the_budget() -> None:
    began = perf_counter()
    seconds, conditions = sample([nothing], 0.05, partial(sleep, 0.005))
    assert max(seconds) < 0.005 <= min(conditions)
    assert LEAST <= len(seconds) <= 10
    assert perf_counter() - began < 2


def test_a_quick_task_is_repeated_no_more_than_useful() -> None:
    assert len(sample([nothing], 10.0, nothing)[0]) == MOST


def test_a_task_longer_than_its_budget_is_not_repeated_often() -> None:
    assert len(sample([partial(sleep, 0.02)], 0.01, nothing)[0]) == 1


def test_a_figure_is_the_median_with_the_relative_quartile_range() -> None:
    figure = Figure.of([1.0, 2.0, 3.0, 4.0, 100.0])
    assert (figure.seconds, figure.spread) == (3.0, pytest.approx(2 / 3))
