from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sim import predict_transitions
from sim.predict_transitions import TransitionPredictor, pair_counts
from sim.trace import RoutingTrace
from tests.traces import random_trace

EXPERTS, K = 6, 2


def training(seed: int = 0, tokens: int = 60) -> RoutingTrace:
    trace = random_trace([(5, tokens - 5)], 3, EXPERTS, K, seed)
    trace.ids[3, 1] = trace.missing
    trace.ids[4, 2, 0] = trace.missing
    return trace


def used(trace: RoutingTrace, token: int, layer: int) -> list[int]:
    return [int(e) for e in trace.ids[token, layer] if e != trace.missing]


def chained(seed: int) -> RoutingTrace:
    """Layer l + 1 uses, for each expert of layer l, the next one."""
    trace = random_trace([(0, 300)], 3, EXPERTS, K, seed)
    return replace(trace, ids=(trace.ids[:, :1] + np.arange(3, dtype=np.uint8)[:, None]) % EXPERTS)


@pytest.mark.parametrize("chunk", [7, 10_000])
def test_pairs_of_experts_are_counted_token_by_token(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(predict_transitions, "_CHUNK_TOKENS", chunk)
    trace = training()
    expected = np.zeros((EXPERTS, EXPERTS))
    for token in range(trace.n_tokens):
        for a in used(trace, token, 0):
            for b in used(trace, token, 2):
                expected[a, b] += 1
    assert np.array_equal(pair_counts(trace, 0, 2), expected)


@pytest.mark.parametrize(("layer", "ahead"), [(1, 1), (2, 1), (2, 2)])
def test_experts_are_ranked_by_the_log_odds_of_their_transitions(layer: int, ahead: int) -> None:
    trace, asked = training(), random_trace([(0, 20)], 3, EXPERTS, K, seed=5)
    asked.ids[0, 0] = [3, asked.missing]
    together = pair_counts(trace, layer - ahead, layer) + 0.1
    popularity = trace.popularity()[layer]
    seen = asked.ids[:, layer - ahead]
    guess = TransitionPredictor(trace).predict(layer, 0, seen, ahead=ahead, size=EXPERTS)
    for row, named in zip(seen, guess, strict=True):
        score = []
        for e in range(EXPERTS):
            chance = together[:, e].sum() / together.sum()
            given = [together[a, e] / together[a].sum() for a in row if a != asked.missing]
            score.append(math.log(popularity[e] + 0.1) + sum(math.log(p / chance) for p in given))
        assert np.allclose(np.array(score)[named], sorted(score, reverse=True))


def test_a_chain_learned_in_training_is_foretold_in_another_trace() -> None:
    predictor, asked = TransitionPredictor(chained(1)), chained(2)
    for layer, ahead in ((1, 1), (2, 1), (2, 2)):
        guess = predictor.predict(layer, 0, asked.ids[:, layer - ahead], ahead=ahead)
        assert np.array_equal(np.sort(guess), np.sort(asked.ids[:, layer]))
        assert guess.dtype == asked.ids.dtype


def test_where_nothing_is_seen_the_popular_experts_of_the_training_are_named() -> None:
    trace = training()
    counts = trace.popularity()[1]
    guess = TransitionPredictor(trace).predict(1, 0, None, size=3)
    assert counts[guess[0]].tolist() == sorted(counts.tolist(), reverse=True)[:3]
    unseen = np.full((2, K), trace.missing)
    assert TransitionPredictor(trace).predict(1, 0, unseen, size=3).tolist() == 2 * guess.tolist()


def test_nothing_is_learned_in_the_run() -> None:
    predictor = TransitionPredictor(training())
    before = predictor.predict(1, 0, chained(1).ids[:, 0])
    predictor.observe(1, chained(1).ids[:, 1])
    assert np.array_equal(predictor.predict(1, 1, chained(1).ids[:, 0]), before)
