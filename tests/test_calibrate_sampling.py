from __future__ import annotations

from functools import partial
from time import perf_counter, sleep

import pytest

from calibrate.sampling import LEAST, MOST, Figure, sample


def test_tasks_take_turns_and_each_is_preceded_by_what_comes_between() -> None:
    log: list[str] = []
    seconds = sample([partial(log.append, "a"), partial(log.append, "b")], 0.0, between=partial(log.append, "-"))
    assert log[:6] == ["-", "a", "-", "b", "-", "a"]
    assert len(seconds) == LEAST
    assert len(log) == 2 * (LEAST + 2)


def test_only_the_task_is_timed_but_all_of_it_counts_against_the_budget() -> None:
    began = perf_counter()
    seconds = sample([lambda: None], 0.05, between=partial(sleep, 0.005))
    assert max(seconds) < 0.005
    assert LEAST <= len(seconds) <= 11
    assert perf_counter() - began < 2


def test_a_quick_task_is_repeated_no_more_than_useful() -> None:
    assert len(sample([lambda: None], 10.0)) == MOST


def test_a_task_longer_than_its_budget_is_not_repeated_often() -> None:
    assert len(sample([partial(sleep, 0.02)], 0.01)) == 1


def test_a_figure_is_the_median_with_the_relative_quartile_range() -> None:
    figure = Figure.of([1.0, 2.0, 3.0, 4.0, 100.0])
    assert (figure.seconds, figure.spread) == (3.0, pytest.approx(2 / 3))
