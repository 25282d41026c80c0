from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from sim.errors import InputError
from sim.foresight import Foresight
from sim.predict import Ids, LastTokenPredictor, PerfectPredictor, RecordedPredictor, Sight
from sim.strategy import World, distinct
from sim.trace import ExpertIds
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


def test_it_reaches_as_far_as_asked_and_tells_of_the_queue_without_a_predictor() -> None:
    trace = trace_of(*[[[0, 1], [2, 3]]] * 6, prompts=[1, 2, 3], lengths=[1, 2, 3])
    foresight = Foresight(trace, None, reach=2)
    seen = []
    for _ in foresight.walk(steps(trace, 1)):
        coming = [foresight.step(passes) for passes in range(4)]
        seen.append([None if step is None else len(step.token_rows) for step in coming])
    assert seen == [[1, 2, 3, None], [2, 3, None, None], [3, None, None, None]]


THREE = trace_of([[0, 1], [2, 3], [1, 0]], [[1, 2], [3, 0], [2, 1]], [[3, 1], [0, 2], [3, 0]], prompts=[1])


class Nosy:
    """Keeps what it is shown of the layer before."""

    sight: ClassVar[Sight] = Sight.EARLIER

    def __init__(self) -> None:
        self.shown: list[object] = []

    def predict(
        self, moe_layer: int, step: int, seen: Ids | None, *, ahead: int = 1, size: int | None = None
    ) -> ExpertIds:
        self.shown.append(None if seen is None else seen.tolist())
        return np.zeros((1, 0), np.uint8)

    def observe(self, moe_layer: int, ids: Ids) -> None: ...


def test_earlier_layers_are_shown_from_the_moment_they_are_routed_and_in_this_pass_only() -> None:
    nosy = Nosy()
    foresight = Foresight(THREE, nosy)
    for _ in foresight.walk(steps(THREE, 1)):
        for moe in range(2):
            foresight.predicted(moe + 1)
            foresight.route(moe)
            foresight.predicted(moe + 1)
            foresight.predicted(moe + 2, ahead=2)
            foresight.predicted(moe + 1, passes=1)
        if foresight.number == 1:
            break
    first, second = [None, [[0, 1]], [[0, 1]], None], [None, [[2, 3]], None]  # no block is two after the second
    third, fourth = [None, [[1, 2]], [[1, 2]], None], [None, [[3, 0]], None]
    assert nosy.shown == [*first, *second, *third, *fourth]


def recorded_foresight(ahead: int = 2) -> Foresight:
    predicted = np.arange(3 * ahead * 3 * 2, dtype=np.uint8).reshape(3, ahead, 3, 2) % 4
    return Foresight(replace(THREE, predicted=predicted), RecordedPredictor(4))


def test_a_recorded_prediction_is_that_of_the_token_the_look_ahead_and_the_layer() -> None:
    foresight = recorded_foresight()
    walk = foresight.walk(steps(THREE, 1))
    next(walk)
    next(walk)
    assert foresight.predicted(1).size == 0, "the state that it was made of is not known yet"
    foresight.route(0)
    start = 1 * 12
    assert foresight.predicted(1).tolist() == [[(start + 2) % 4, (start + 3) % 4]]
    assert foresight.predicted(2, ahead=2, size=1).tolist() == [[(start + 6 + 4) % 4]]
    assert foresight.predicted(0).size == 0, "no layer before it"


@pytest.mark.parametrize(
    ("foresight", "asked", "complaint"),
    [
        (Foresight(THREE, RecordedPredictor(4)), {}, "the routing comes with no recorded predictions"),
        (recorded_foresight(), {"ahead": 3}, "asks 3 layers ahead, predictions were recorded up to 2"),
        (recorded_foresight(), {"passes": 1}, "asks of passes to come"),
    ],
)
def test_predictions_that_were_not_recorded_are_refused_in_one_line(
    foresight: Foresight, asked: dict[str, int], complaint: str
) -> None:
    next(foresight.walk(steps(THREE, 1)))
    with pytest.raises(InputError, match=rf"predictor\.kind: .*{complaint}.*\(got 'recorded'\); record them"):
        foresight.predicted(2, **asked)


def test_what_was_said_is_accounted_against_the_truth() -> None:
    foresight = Foresight(TRACE, LastTokenPredictor(4))
    assert not foresight.account.asked
    walk = foresight.walk(steps(TRACE, 1))
    next(walk)
    foresight.observe(0)
    next(walk)
    foresight.predicted(0)  # 0, 1, 2 for a token that needs 3, 1
    assert foresight.account.to_meta() == [{"ahead": 1, "routed": [2, 0], "named": [3, 0], "both": [1, 0]}]
