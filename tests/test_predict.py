from __future__ import annotations

import numpy as np
import pytest

from sim.errors import InputError
from sim.predict import LastTokenPredictor, PerfectPredictor, PopularityPredictor, RecallPredictor

STEPS, LAYERS, EXPERTS, K = 3000, 2, 16, 4


def truths(seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    skew = np.linspace(0, 2, EXPERTS)
    order = np.argsort(rng.gumbel(size=(STEPS, LAYERS, EXPERTS)) + skew, axis=2)
    return np.sort(order[:, :, -K:], axis=2).astype(np.uint8)


@pytest.mark.parametrize("recall", [0.0, 0.35, 0.85, 1.0])
def test_realised_recall_and_precision_equal_the_asked_one(recall: float) -> None:
    predictor, true = RecallPredictor(LAYERS, EXPERTS, recall=recall), truths()
    right = 0
    for step in range(STEPS):
        for layer in range(LAYERS):
            guess = predictor.predict(layer, step, true[step, layer])
            assert len(set(guess)) == K
            assert guess == sorted(guess)  # the order tells nothing
            right += len(set(guess) & set(true[step, layer].tolist()))
            predictor.observe(layer, true[step, layer : layer + 1])
    sampling_error = np.sqrt(recall * (1 - recall) / (STEPS * LAYERS * K))
    assert right / (STEPS * LAYERS * K) == pytest.approx(recall, abs=4 * sampling_error + 1e-12)


def test_mistakes_lean_towards_popular_experts() -> None:
    predictor, true = RecallPredictor(1, EXPERTS, recall=0.0), truths()
    wrong = np.zeros(EXPERTS)
    for step in range(STEPS):
        predictor.observe(0, true[step, :1])
        wrong[predictor.predict(0, step, true[step, 0])] += 1
    free = STEPS - np.bincount(true[:, 0].ravel(), minlength=EXPERTS)  # steps in which the expert could be a mistake
    share = wrong / free
    assert share[-4:].mean() > 1.5 * share[:4].mean()


def test_guesses_depend_on_seed_step_and_layer_only() -> None:
    true = truths()
    one, two = (RecallPredictor(LAYERS, EXPERTS, recall=0.5, seed=3) for _ in range(2))
    two.predict(0, 7, true[7, 0])  # an extra call changes nothing
    assert one.predict(1, 8, true[8, 1]) == two.predict(1, 8, true[8, 1])
    other = RecallPredictor(LAYERS, EXPERTS, recall=0.5, seed=4)
    assert any(one.predict(0, s, true[s, 0]) != other.predict(0, s, true[s, 0]) for s in range(20))


def test_wrong_experts_can_run_out() -> None:
    predictor = RecallPredictor(1, 4, recall=0.0)
    assert predictor.predict(0, 0, np.array([0, 1, 2])) == [3]


def test_recall_outside_its_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"predictor\.recall: must be a share \(got 1\.2\)"):
        RecallPredictor(1, 4, recall=1.2)


def test_perfect_predictor_tells_the_truth() -> None:
    assert PerfectPredictor().predict(0, 0, np.array([2, 5])) == [2, 5]


def test_popularity_predictor_learns_from_what_it_observes_and_skips_missing_ids() -> None:
    predictor = PopularityPredictor(1, 4, size=2)
    assert predictor.predict(0, 0, None) == []
    predictor.observe(0, np.array([[3, 1], [3, 255]], np.uint8))
    assert predictor.predict(0, 1, None) == [3, 1]


def test_last_token_predictor_repeats_the_last_step_of_that_layer() -> None:
    predictor = LastTokenPredictor(4)
    predictor.observe(0, np.array([[3, 1], [1, 255]], np.uint8))
    assert predictor.predict(0, 1, None) == [1, 3]
    assert predictor.predict(1, 1, None) == []
