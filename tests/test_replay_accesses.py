from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import InputError
from sim.replay import accesses as replay_accesses
from sim.replay.accesses import trace_accesses
from sim.workload import accesses
from tests.traces import random_trace, sequence_lists


def once_each(batch: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Each key at its last place."""
    return list(dict.fromkeys(reversed(batch)))[::-1]


@given(sequences=sequence_lists, batch=st.integers(1, 3), seed=st.integers(0, 9))
def test_batches_are_those_of_the_workload(sequences: list[tuple[int, int]], batch: int, seed: int) -> None:
    trace = random_trace(sequences, n_layers=3, n_experts=5, seed=seed)
    expected = [once_each(keys) for keys in accesses(trace, batch)]
    found = trace_accesses(trace, batch)
    assert list(found.batches()) == expected
    assert len(found) == sum(map(len, expected))
    for layer in range(3):
        assert list(trace_accesses(trace, batch, layer).batches()) == expected[layer::3]


@pytest.mark.parametrize("batch", [1, 2])
def test_long_traces_are_taken_in_pieces(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = random_trace([(30, 8), (0, 25), (3, 0), (1, 9)], seed=4)
    whole = trace_accesses(trace, batch)
    monkeypatch.setattr(replay_accesses, "_CHUNK_TOKENS", 4)
    pieces = trace_accesses(trace, batch)
    np.testing.assert_array_equal(pieces.keys, whole.keys)
    np.testing.assert_array_equal(pieces.starts, whole.starts)


@pytest.mark.parametrize("batch", [1, 2])
def test_what_was_not_routed_is_not_accessed(batch: int) -> None:
    trace = random_trace([(3, 2), (0, 2)])
    trace.ids[:2, 1] = trace.missing
    trace.ids[4, 0, 1] = trace.missing
    expected = [once_each(keys) for keys in accesses(trace, batch)]
    assert list(trace_accesses(trace, batch).batches()) == expected


@pytest.mark.parametrize("batch", [1, 3])
def test_weights_are_summed_over_the_tokens_of_a_batch(batch: int) -> None:
    rng = np.random.default_rng(0)
    sequences = [(5, 3), (0, 4), (2, 2)]
    shape = (16, 2, 2)
    trace = random_trace(sequences, weights=rng.random(shape).astype(np.float32))
    assert trace.weights is not None
    found = trace_accesses(trace, batch)
    by_batch = found.batch_weights()
    assert by_batch is not None
    weights = [dict(zip(*pair, strict=True)) for pair in zip(found.batches(), by_batch, strict=True)]
    assert sum(sum(batch.values()) for batch in weights) == pytest.approx(trace.weights.sum(), rel=1e-5)
    prefill = weights[0]  # the first pass of layer 0: five tokens, seven in lock-step with the third sequence's two
    rows = [0, 1, 2, 3, 4, *([12, 13] if batch == 3 else [])]
    for (layer, expert), weight in prefill.items():
        assert layer == 0
        assert weight == pytest.approx(trace.weights[rows, 0][trace.ids[rows, 0] == expert].sum(), rel=1e-5)


def test_without_weights_there_are_none() -> None:
    assert trace_accesses(random_trace([(2, 2)])).batch_weights() is None


def test_an_empty_trace_has_no_accesses() -> None:
    found = trace_accesses(random_trace([]))
    assert (len(found), found.n_batches, list(found.batches())) == (0, 0, [])


def test_counts_are_of_batches() -> None:
    trace = random_trace([(4, 6)], n_layers=2, n_experts=6)
    keys = [key for batch in accesses(trace) for key in set(batch)]
    counts = trace_accesses(trace).counts()
    assert counts.tolist() == [keys.count((key // 6, key % 6)) for key in range(12)]


def test_bad_batches_and_endless_traces_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="batch: must be at least 1"):
        trace_accesses(random_trace([(1, 1)]), 0)
    monkeypatch.setattr(replay_accesses, "_MOST_BATCHES", 5)
    with pytest.raises(InputError, match="too long to be replayed at once"):
        trace_accesses(random_trace([(0, 3)], n_layers=2))
