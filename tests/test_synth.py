from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim import synth
from sim.errors import InputError
from sim.synth import GENERIC, MIXTRAL_LIKE, Style, synthesize
from sim.trace import RoutingTrace
from sim.trace_stats import next_layer_recall, stats


def means(style: Style, shape: tuple[int, int, int] = (6, 16, 2)) -> dict[str, float]:
    return stats(synthesize(*shape, [(0, 250)] * 2, seed=5, style=style)).means()


def test_default_style_has_the_statistics_of_mixtral_8x7b() -> None:
    target = {
        "entropy": 0.988,
        "top_share": 0.168,
        "reuse": 0.375,
        "reuse_by_popularity": 0.263,
        "next_recall": 0.418,
        "next_recall_by_popularity": 0.310,
        "lru_25": 0.373,
        "lru_50": 0.616,
        "lru_75": 0.819,
        "lfu_50": 0.620,
        "lfu_75": 0.826,
    }
    measured = stats(synthesize(16, 8, 2, [(0, 400)] * 6, seed=1)).means()
    assert {name: measured[name] for name in target} == pytest.approx(target, abs=0.015)


def test_generic_style_has_about_the_statistics_of_olmoe() -> None:
    measured = means(GENERIC, (8, 64, 8))
    target = {"entropy": 0.948, "reuse": 0.415, "next_recall": 0.636, "lru_50": 0.823, "lfu_50": 0.789}
    assert {name: measured[name] for name in target} == pytest.approx(target, abs=0.06)


@pytest.mark.parametrize(
    ("change", "statistic", "grows"),
    [
        ({"popularity": 1.0}, "entropy", False),
        ({"context": 1.5}, "overlap_8", True),
        ({"context": 1.5, "context_persistence": 0.5}, "overlap_8", False),
        ({"token_persistence": 0.9}, "reuse", True),
        ({"token": 4.0}, "next_recall", True),
        ({"noise": 4.0}, "reuse", False),
    ],
    ids=str,
)
def test_each_parameter_does_what_it_says(change: dict[str, float], statistic: str, grows: bool) -> None:
    before = means(replace(MIXTRAL_LIKE, context=0.8))[statistic]
    after = means(replace(MIXTRAL_LIKE, **({"context": 0.8} | change)))[statistic]
    assert (after > before + 0.02) if grows else (after < before - 0.02)


def test_drift_makes_far_layers_tell_less_about_each_other() -> None:
    def gain(drift: float) -> float:
        style = Style(popularity=0, context=0, token=5, layer_drift=drift)
        ids = synthesize(6, 16, 2, [(0, 2000)], seed=2, style=style).ids
        first, last = ((ids[:, layer, :, None] == np.arange(16)).any(axis=1) for layer in (0, 5))
        informed, blind = next_layer_recall(first, last, 2)
        return informed - blind

    assert gain(0) > 0.2
    assert gain(1) == pytest.approx(0, abs=0.03)


def test_weights_are_the_softmax_of_the_chosen_best_first() -> None:
    trace = synthesize(3, 8, 3, [(2, 50)], seed=0)
    assert trace.weights is not None
    assert trace.weights.dtype == np.float32
    assert trace.weights.sum(axis=2) == pytest.approx(1, abs=1e-6)
    assert (np.diff(trace.weights, axis=2) <= 0).all()
    trace.validate()


def test_the_highest_logits_are_chosen() -> None:
    logits = np.random.default_rng(1).standard_normal((200, 9)).astype(np.float32)
    ids, weights = np.empty((200, 4), np.uint8), np.empty((200, 4), np.float32)
    synth._route(logits.copy(), ids, weights)
    assert np.array_equal(ids, np.argsort(-logits, axis=1)[:, :4])
    chosen = np.exp(np.take_along_axis(logits, ids.astype(np.int64), axis=1))
    assert weights == pytest.approx(chosen / chosen.sum(axis=1, keepdims=True), rel=1e-5)


@pytest.mark.parametrize("persistence", [0.0, 0.6, 0.99, 1.0])
def test_states_wander_like_the_recursion_and_start_afresh_with_each_sequence(persistence: float) -> None:
    offsets = np.array([0, 70, 70, 71, 200])
    found = synth._wander(np.random.default_rng(4), offsets, persistence, 3)
    drawn = np.random.default_rng(4).standard_normal((200, 3), dtype=np.float32)
    expected = drawn.astype(np.float64)
    for token in range(200):
        if token not in offsets:
            expected[token] = persistence * expected[token - 1] + np.sqrt(1 - persistence**2) * drawn[token]
    assert found == pytest.approx(expected, abs=2e-3)


def test_sequences_and_provenance_are_as_asked() -> None:
    trace = synthesize(2, 300, 4, [(3, 2), (0, 0), (0, 4)], seed=9, style=GENERIC)
    assert (trace.offsets.tolist(), trace.prompt_tokens.tolist()) == ([0, 5, 5, 9], [3, 0, 0])
    assert trace.ids.shape == (9, 2, 4)
    assert trace.ids.dtype == np.uint16
    assert trace.provenance["synthetic"]["seed"] == 9
    assert Style(**trace.provenance["synthetic"]["style"]) == GENERIC
    assert synthesize(2, 8, 2, [], seed=0).n_tokens == 0


def test_equal_arguments_give_equal_traces_whatever_the_block_size(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def make() -> RoutingTrace:
        return synthesize(3, 8, 2, [(5, 60), (0, 40)], seed=7)

    first = make()
    assert make().equal(first)
    assert not synthesize(3, 8, 2, [(5, 60), (0, 40)], seed=8).equal(first)
    monkeypatch.setattr(synth, "_BLOCK_LOGITS", 100)
    assert make().equal(first)
    first.save(tmp_path / "a")
    assert RoutingTrace.load(tmp_path / "a").equal(first)


@pytest.mark.parametrize("name", [field.name for field in fields(Style)])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_style_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"^style\.{name}: must be from 0 to 1(00)? \(got"):
        replace(MIXTRAL_LIKE, **{name: value})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8, 2, []), "n_layers: must be at least 1"),
        ((1, 8, 9, []), r"top_k: must be from 1 to the number of experts, 8 \(got 9\)"),
        ((1, 8, 0, []), "top_k: must be from 1"),
        ((1, 8, 2, [(1, 1), (1, -1)]), "sequence 1: tokens must not be negative"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        synthesize(*arguments, seed=0)
