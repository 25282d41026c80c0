from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.metrics import summarise
from sim.predict import RecallPredictor
from sim.prediction import PredictionAccount, prediction
from sim.schedule import Schedule
from tests.hand_work import Guess, plan_tiny, timed
from tests.listing import trace_of
from tests.machines import tiny_model
from tests.traces import random_trace

MISSING = 255


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 6), st.booleans(), st.integers(0, 99))
def test_tokens_are_counted_with_each_of_their_experts(k: int, m: int, tokens: int, one_row: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    routed, named = (rng.random((tokens, 8)).argsort(axis=1)[:, :n].astype(np.uint8) for n in (k, m))
    named = named[:1] if one_row else named
    for ids in (routed, named):
        ids[rng.random(ids.shape) < 0.2] = MISSING
    account = PredictionAccount(3)
    account.add(2, 1, routed, named)
    truth = [{int(e) for e in row} - {MISSING} for row in routed]
    said = [{int(e) for e in named[0 if one_row else token]} - {MISSING} for token in range(tokens)]
    both = sum(len(t & s) for t, s in zip(truth, said, strict=True))
    sums = sum(map(len, truth)), sum(map(len, said)), both
    assert account.to_meta() == [
        {"ahead": 1, **{name: [0, 0, n] for name, n in zip(("routed", "named", "both"), sums, strict=True)}}
    ]


def test_recall_and_precision_are_told_by_layer_and_look_ahead() -> None:
    account = PredictionAccount(3)
    account.add(2, 2, np.array([[0, 1]], np.uint8), np.array([[1, 2, 3, 4]], np.uint8))
    account.add(1, 1, np.array([[0, 1]], np.uint8), np.array([[1, MISSING]], np.uint8))
    account.add(0, 1, np.array([[0, 1]], np.uint8), np.zeros((1, 0), np.uint8))
    found = prediction({"prediction": account.to_meta()})
    assert found is not None
    assert (found.recall, found.precision) == (2 / 6, 2 / 5)
    assert [tuple(asdict(each).values()) for each in found.by_layer] == [
        (0, 1, 0.0, None), (1, 1, 0.5, 1.0), (2, 2, 0.5, 0.25)
    ]  # fmt: skip


def prefetching(recall: list[float], tokens: int = 1500, *, seed: int = 0) -> Schedule:
    model = tiny_model(n_layers=3, n_experts=16, top_k=4)
    trace = random_trace([(30, tokens)], 3, 16, 4, seed)
    predictor = RecallPredictor(3, 16, recall=recall, seed=seed)
    return plan_tiny("cache", trace, 12, model=model, predictor=predictor, prefetch=True)


@pytest.mark.parametrize("recall", [[0.5, 0.9, 0.6], [0.2, 1.0, 0.0]])
def test_a_run_realises_the_recall_and_precision_that_were_asked_for(recall: list[float]) -> None:
    """Within four standard deviations, in each layer; nobody is asked about the first."""
    schedule = prefetching(recall)
    found = prediction(schedule.meta)
    assert found is not None
    assert [(each.layer, each.ahead) for each in found.by_layer] == [(1, 1), (2, 1)]
    for each in found.by_layer:
        share = recall[each.layer]
        error = 4 * np.sqrt(share * (1 - share) / (1530 * 4)) + 1e-12
        assert each.recall == pytest.approx(share, abs=error)
        assert each.precision == pytest.approx(each.recall), "k of k are named, and never one twice"
    assert found.recall == pytest.approx(np.mean([each.recall for each in found.by_layer]))


def test_it_is_kept_with_the_schedule_and_told_in_the_summary(tmp_path: Path) -> None:
    schedule = prefetching([0.5, 0.5, 0.5], tokens=10)
    schedule.save(tmp_path / "schedule")
    assert prediction(Schedule.load(tmp_path / "schedule").meta) == prediction(schedule.meta)
    assert summarise(timed(schedule)).prediction == prediction(schedule.meta)


def test_a_strategy_that_asks_nothing_reports_none() -> None:
    schedule = plan_tiny("cache", trace_of([[0, 1], [2, 3]]), 4, predictor=Guess(0, 1))
    assert "prediction" not in schedule.meta
    assert summarise(timed(schedule)).prediction is None
