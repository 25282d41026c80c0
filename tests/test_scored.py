from __future__ import annotations

import numpy as np

from sim.parts.scored import ScoredCache
from tests.machines import tiny_model

MODEL = tiny_model(n_layers=3, moe_layers=(0, 2), dense_hidden=10)  # block 2 is MoE block 1
SCORE = np.array([[0.5, 0.1, 0.3, 0.1], [0.2, 0.1, 0.4, 0.0]])


def cache(*keys: tuple[int, int]) -> ScoredCache:
    return ScoredCache(MODEL, keys)


def test_the_lowest_scores_leave_first_and_equals_in_order() -> None:
    held = cache((0, 0), (0, 3), (2, 1), (2, 0))
    assert held.leaving(SCORE, 3, free=0, spared=()) == [(0, 3), (2, 1), (2, 0)]
    assert held.leaving(SCORE, 9, free=0, spared=[(2, 1), (0, 1)]) == [(0, 3), (2, 0), (0, 0)]


def test_nobody_leaves_while_slots_are_free() -> None:
    held = cache((0, 0), (2, 1))
    assert held.leaving(SCORE, 3, free=2, spared=()) == [None, None, (2, 1)]
    assert held.leaving(SCORE, 1, free=2, spared=()) == [None]
    assert held.leaving(SCORE, 0, free=2, spared=()) == []


def test_absent_experts_come_by_falling_score_unless_it_is_0() -> None:
    held = cache((0, 0))
    assert held.absent(SCORE) == [(2, 2), (0, 2), (2, 0), (0, 1), (0, 3), (2, 1)]
    held.enter((2, 2))
    held.leave((0, 0))
    assert held.absent(SCORE)[:2] == [(0, 0), (0, 2)]
    assert ((2, 2) in held, (0, 0) in held) == (True, False)


def test_the_lowest_of_some_is_one_that_is_there() -> None:
    assert cache((0, 0), (0, 2)).lowest(SCORE, [(0, 0), (0, 1), (0, 2)]) == (0, 2)


def test_newcomers_replace_only_what_scores_less_each_the_next() -> None:
    held = cache((0, 1), (0, 2), (2, 0))
    coming = [(2, 1), (2, 2), (0, 3), (0, 0)]  # 0.1, 0.4, 0.1, 0.5
    assert held.worthwhile(coming, [(0, 1), (0, 2)], SCORE) == [((2, 2), (0, 1)), ((0, 0), (0, 2))]
    assert held.worthwhile(coming, [None, (0, 2)], SCORE) == [((2, 1), None), ((2, 2), (0, 2))]
    assert held.worthwhile([(2, 1)], [(0, 1)], SCORE) == []
