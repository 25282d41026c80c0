from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.parts.degrade import degraded, settled

RESIDENT = {0, 1, 5}.__contains__
POPULAR = [5, 0, 1, 2, 3, 4]
LIKE = np.zeros((1, 2), np.uint8)


@pytest.mark.parametrize(
    ("wanted", "on_host", "run"),
    [
        ([0, 5], 1, [0, 5]),
        ([2, 0], 1, [2, 0]),
        ([2, 3], 1, [2, 1]),  # the better one stays on the CPU
        ([3, 2, 4], 1, [3, 1, 5]),
        ([2, 1, 3], 1, [2, 1, 5]),  # 1 is wanted already
        ([2, 3], 0, [1, 5]),
        ([2, 3], 2, [2, 3]),
    ],
)
def test_all_but_the_best_on_the_cpu_are_replaced_by_the_best_on_the_gpu(
    wanted: list[int], on_host: int, run: list[int]
) -> None:
    assert degraded(wanted, [4, 1, 5, 0], RESIDENT, on_host=on_host) == run


def test_with_nobody_to_replace_them_they_all_stay() -> None:
    assert degraded([2, 3, 4], [1, 0], {0}.__contains__, on_host=1) == [2, 0, 4]
    assert degraded([2, 3], [1, 0], set[int]().__contains__, on_host=1) == [2, 3]


@given(st.permutations(range(6)), st.integers(0, 6), st.integers(0, 3), st.sets(st.integers(0, 5)))
def test_no_expert_runs_twice_for_a_token_and_no_more_stay_than_may(
    ranked: list[int], k: int, on_host: int, resident: set[int]
) -> None:
    run = degraded(ranked[:k], ranked[k:], resident.__contains__, on_host=on_host)
    assert len(run) == len(set(run)) == k
    spare = resident - set(run)
    assert not spare or sum(e not in resident for e in run) <= on_host


def test_a_longer_guess_names_who_may_replace() -> None:
    ids, replaced = settled(np.array([[2, 3, 4, 0, 5]], np.uint8), LIKE, POPULAR, RESIDENT, on_host=1)
    assert (ids.tolist(), replaced) == ([[2, 0]], 1)


def test_a_guess_of_no_more_than_k_leaves_that_to_the_popular() -> None:
    ids, replaced = settled(np.array([[2, 3]], np.uint8), LIKE, POPULAR, RESIDENT, on_host=1)
    assert (ids.tolist(), replaced) == ([[2, 5]], 1)


def test_what_a_short_guess_does_not_name_the_popular_fill_up() -> None:
    for short, run in (([[1]], [[1, 5]]), (np.empty((1, 0)), [[5, 0]])):
        ids, replaced = settled(np.array(short, np.uint8), LIKE, POPULAR, RESIDENT, on_host=1)
        assert (ids.tolist(), replaced) == (run, 0)


def test_one_row_holds_for_all_tokens_and_what_is_not_guessed_does_not_run() -> None:
    like = np.zeros((2, 2), np.uint8)
    ids, _ = settled(np.array([[1, 255, 0]], np.uint8), like, POPULAR, RESIDENT, on_host=1)
    assert ids.tolist() == [[1, 255], [1, 255]]
