from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sim.synth.router import Router, top_keys
from sim.synth.style import Style


@given(
    n_experts=st.integers(1, 40),
    n_tokens=st.sampled_from([0, 1, 511, 512, 600]),
    data=st.data(),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_the_highest_keys_come_first(n_experts: int, n_tokens: int, data: st.DataObject, seed: int) -> None:
    top_k = data.draw(st.integers(1, n_experts))
    rng = np.random.default_rng(seed)
    keys = rng.permutation(n_experts * n_tokens).reshape(n_experts, n_tokens).astype(np.int32) - 1000
    assert np.array_equal(top_keys(keys.copy(), top_k), -np.sort(-keys, axis=0)[:top_k])


def routed(n_experts: int, style: Style, n_tokens: int, seed: int = 0) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Ids and logits [token, expert], best first, of one layer."""
    router = Router(np.random.default_rng(seed), 1, n_experts, style)
    ((ids, logits),) = router.route(np.arange(n_tokens), n_experts)
    return ids.T, logits.T


@pytest.mark.parametrize("n_experts", [1, 2, 8, 60, 512])
def test_all_experts_are_ranked_by_logit(n_experts: int) -> None:
    ids, logits = routed(n_experts, Style(), 700)
    assert np.array_equal(np.sort(ids, axis=1), np.broadcast_to(np.arange(n_experts), ids.shape))
    assert (np.diff(logits, axis=1) <= 0).all()


def test_logits_have_the_variance_that_the_strengths_add_up_to() -> None:
    style = Style(popularity=0.5, task=0.7, tasks=2, context=0.8, token=1.1, layer=0.6, noise=0.9, task_tokens=50)
    _, logits = routed(64, style, 4000)
    assert logits.mean() == pytest.approx(0, abs=0.1)
    # A state of unit variance in n directions, seen along one of length 1, has variance 1.
    expected = sum(strength**2 for strength in (0.5, 0.7, 0.8, 1.1, 0.6, 0.9))
    assert logits.var() == pytest.approx(expected, rel=0.1)


def test_noise_is_new_in_every_token_and_expert() -> None:
    ids, logits = routed(16, Style(popularity=0, context=0, token=0, noise=1), 3000)
    by_expert = np.take_along_axis(logits, np.argsort(ids, axis=1), axis=1)
    assert by_expert.std() == pytest.approx(1, rel=0.02)
    correlation = np.corrcoef(by_expert.T) - np.eye(16)
    assert np.abs(correlation).max() < 0.08
    along = [np.corrcoef(by_expert[:-lag].ravel(), by_expert[lag:].ravel())[0, 1] for lag in (1, 2, 16, 128)]
    assert np.abs(along).max() < 0.02


def test_chunks_go_on_drawing() -> None:
    router = Router(np.random.default_rng(0), 1, 8, Style())
    first, second = (next(iter(router.route(np.arange(600) + start, 2)))[0] for start in (0, 600))
    assert not np.array_equal(first, second)
