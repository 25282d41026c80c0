from __future__ import annotations

import numpy as np
import pytest

from sim.errors import InputError
from sim.predict import LastTokenPredictor, PerfectPredictor, PopularityPredictor, RecallPredictor
from sim.trace import ExpertIds

TOKENS, LAYERS, EXPERTS, K = 6000, 2, 16, 4


def truths(seed: int = 1) -> ExpertIds:
    """[token, layer, k], higher experts being the more popular."""
    rng = np.random.default_rng(seed)
    skew = np.linspace(0, 2, EXPERTS)
    order = np.argsort(rng.gumbel(size=(TOKENS, LAYERS, EXPERTS)) + skew, axis=2)
    return order[:, :, -K:].astype(np.uint8)


def found(guess: ExpertIds, true: ExpertIds) -> np.ndarray:
    """Whether each true expert [token, k] is among the guessed."""
    return (true[:, :, None] == guess[:, None, :]).any(axis=2)


@pytest.mark.parametrize("recall", [0.0, 0.35, 0.85, 1.0])
def test_realised_recall_and_precision_equal_the_asked_one(recall: float) -> None:
    predictor, true = RecallPredictor(LAYERS, EXPERTS, recall=recall), truths()[:, 0]
    predictor.observe(0, true)
    guess = predictor.predict(0, 0, true)
    assert guess.shape == true.shape
    assert all(len(set(row)) == K for row in guess.tolist()), "distinct, so that precision equals recall"
    sampling_error = np.sqrt(recall * (1 - recall) / true.size)
    assert found(guess, true).mean() == pytest.approx(recall, abs=4 * sampling_error + 1e-12)


def test_token_by_token_the_recall_is_the_same() -> None:
    predictor, true = RecallPredictor(1, EXPERTS, recall=0.7), truths()[:1500, :1]
    hits = [found(predictor.predict(0, step, row), row).mean() for step, row in enumerate(true)]
    assert np.mean(hits) == pytest.approx(0.7, abs=0.025)


def test_the_routers_lower_choices_are_missed_more_often() -> None:
    predictor, true = RecallPredictor(1, EXPERTS, recall=0.8), truths()[:, 0]
    by_rank = found(predictor.predict(0, 0, true), true).mean(axis=0)
    assert (np.diff(by_rank) < -0.03).all()


def test_mistakes_lean_towards_popular_experts() -> None:
    predictor, true = RecallPredictor(1, EXPERTS, recall=0.0), truths()[:, 0]
    predictor.observe(0, true)
    wrong = np.bincount(predictor.predict(0, 0, true).ravel(), minlength=EXPERTS)
    free = TOKENS - np.bincount(true.ravel(), minlength=EXPERTS)  # tokens for which the expert could be a mistake
    share = wrong / free
    assert share[-4:].mean() > 1.5 * share[:4].mean()


def test_each_layer_has_its_recall_and_each_further_layer_ahead_costs_some() -> None:
    predictor, true = RecallPredictor(2, EXPERTS, recall=[0.6, 0.9], decay=0.8), truths()
    rate = [
        found(predictor.predict(layer, 0, true[:, layer], ahead=ahead), true[:, layer]).mean()
        for layer, ahead in ((0, 1), (1, 1), (1, 2), (1, 3))
    ]
    assert rate == pytest.approx([0.6, 0.9, 0.72, 0.576], abs=0.02)


@pytest.mark.parametrize("size", [1, 2, 6, EXPERTS + 3])
def test_asked_for_more_or_fewer_it_keeps_the_best_first(size: int) -> None:
    predictor, true = RecallPredictor(1, EXPERTS, recall=1.0), truths()[:50, 0]
    guess = predictor.predict(0, 0, true, size=size)
    assert guess.shape == (50, size)
    assert (guess[:, :K] == true[:, :size]).all()
    named = [[expert for expert in row if expert != 255] for row in guess.tolist()]
    assert all(len(set(row)) == min(size, EXPERTS) == len(row) for row in named)


def test_what_was_not_routed_is_not_guessed() -> None:
    guess = RecallPredictor(1, 4, recall=0.5).predict(0, 0, np.array([[1, 255], [255, 255]], np.uint8))
    assert guess[0, 0] < 4
    assert guess[:, 1].tolist() == [255, 255]
    assert guess[1, 0] == 255


def test_guesses_depend_on_seed_step_layer_and_look_ahead_only() -> None:
    true = truths()[:30, 0]
    one, two = (RecallPredictor(LAYERS, EXPERTS, recall=0.5, seed=3) for _ in range(2))
    two.predict(0, 7, true)  # an extra call changes nothing
    assert np.array_equal(one.predict(1, 8, true), two.predict(1, 8, true))
    for other in (
        RecallPredictor(LAYERS, EXPERTS, recall=0.5, seed=4).predict(1, 8, true),
        one.predict(1, 9, true),
        one.predict(0, 8, true),
        one.predict(1, 8, true, ahead=2),
    ):
        assert not np.array_equal(one.predict(1, 8, true), other)


def test_wrong_experts_can_run_out() -> None:
    predictor = RecallPredictor(1, 4, recall=0.0)
    guess = predictor.predict(0, 0, np.array([[0, 1, 2]], np.uint8)).tolist()
    assert sorted(guess[0]) == [3, 255, 255]


@pytest.mark.parametrize(("field", "given"), [("recall", {"recall": 1.2}), ("decay", {"recall": 1.0, "decay": -1.0})])
def test_a_share_outside_its_range_is_refused(field: str, given: dict[str, float]) -> None:
    with pytest.raises(InputError, match=rf"predictor\.{field}: must be a share \(got (1\.2|-1\.0)\)"):
        RecallPredictor(1, 4, **given)


def test_recalls_for_another_number_of_layers_are_refused() -> None:
    with pytest.raises(InputError, match=r"predictor\.recall: must be one share, or one for each of 3 layers"):
        RecallPredictor(3, 4, recall=[0.5, 0.5])


def test_perfect_predictor_tells_the_truth() -> None:
    true = np.array([[5, 2]], np.uint8)
    assert PerfectPredictor().predict(0, 0, true).tolist() == [[5, 2]]
    assert PerfectPredictor().predict(0, 0, true, size=1).tolist() == [[5]]


def test_popularity_predictor_learns_from_what_it_observes_and_skips_missing_ids() -> None:
    predictor = PopularityPredictor(1, 4, size=2)
    assert predictor.predict(0, 0, None).size == 0
    predictor.observe(0, np.array([[3, 1], [3, 255]], np.uint8))
    assert predictor.predict(0, 1, None).tolist() == [[3, 1]]


def test_last_token_predictor_repeats_the_last_step_of_that_layer() -> None:
    predictor = LastTokenPredictor(4)
    predictor.observe(0, np.array([[3, 1], [1, 255]], np.uint8))
    assert predictor.predict(0, 1, None).tolist() == [[1, 3]]
    assert predictor.predict(1, 1, None).size == 0
