from __future__ import annotations

import numpy as np

from sim.foresight import Foresight
from sim.predict import LastTokenPredictor, PerfectPredictor
from sim.strategy import World, distinct
from sim.workload import steps
from tests.listing import trace_of
from tests.machines import BF16, tiny_model

TRACE = trace_of([[0, 1], [2, 3]], [[1, 2], [3, 0]], [[3, 1], [0, 2]], prompts=[2])


def test_it_tells_of_this_pass_and_the_next_and_of_no_other() -> None:
    foresight = Foresight(TRACE, PerfectPredictor())
    seen = []
    for step in foresight.walk(steps(TRACE, 1)):
        now, coming = (foresight.predicted(1, passes=passes) for passes in (0, 1))
        seen.append((step.phase, now.tolist(), None if coming is None else coming.tolist()))
    assert seen == [("prefill", [[2, 3], [3, 0]], [[0, 2]]), ("decode", [[0, 2]], None)]


def test_without_a_predictor_or_beyond_the_last_block_nobody_can_tell() -> None:
    for predictor, moe in ((None, 0), (PerfectPredictor(), 2)):
        foresight = Foresight(TRACE, predictor)
        next(foresight.walk(steps(TRACE, 1)))
        assert foresight.predicted(moe) is None


def test_a_predictor_that_learns_is_told_only_what_was_observed() -> None:
    foresight = Foresight(TRACE, LastTokenPredictor(4))
    walk = foresight.walk(steps(TRACE, 1))
    next(walk)
    assert foresight.predicted(0).size == 0
    foresight.observe(0)
    next(walk)
    assert foresight.predicted(0).tolist() == [[0, 1, 2]]


def test_a_strategy_gets_distinct_experts_those_of_most_tokens_first() -> None:
    assert distinct(np.array([[3, 1], [2, 1], [0, 255]], np.uint8)) == [1, 3, 2, 0]
    foresight = Foresight(TRACE, PerfectPredictor())
    world = World(tiny_model(), BF16, n_slots=0, popularity=np.ones((2, 4), np.int64), foresight=foresight)
    next(foresight.walk(steps(TRACE, 1)))
    assert world.predict(1) == [3, 2, 0]
    assert world.predict(2) == []
