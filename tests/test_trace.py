from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import trace_check
from sim.columnar import Ragged, write_table
from sim.errors import FormatError
from sim.trace import RoutingTrace, id_dtype
from tests.traces import random_trace, sequence_lists


def with_weights(trace: RoutingTrace) -> RoutingTrace:
    return replace(trace, weights=np.random.default_rng(1).random(trace.ids.shape).astype(np.float32))


def with_all(trace: RoutingTrace, ahead: int = 2) -> RoutingTrace:
    """The trace with weights, token ids and predictions."""
    rng = np.random.default_rng(2)
    predicted = rng.integers(0, trace.n_experts, (trace.n_tokens, ahead, *trace.ids.shape[1:])).astype(trace.ids.dtype)
    tokens = rng.integers(0, 50_000, trace.n_tokens).astype(np.int32)
    return replace(with_weights(trace), token_ids=tokens, predicted=predicted)


@given(sequence_lists, st.sampled_from([1, 3]))
def test_tokens_and_predictions_are_kept_as_well(
    tmp_path_factory: pytest.TempPathFactory, sequences: list[tuple[int, int]], ahead: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "all.trace.arrow"
    trace = with_all(random_trace(sequences), ahead)
    trace.save(path)
    loaded = RoutingTrace.load(path)
    assert loaded.equal(trace)
    assert loaded.ahead == ahead


def test_a_part_takes_along_all_that_has_a_row_a_token() -> None:
    trace = with_all(random_trace([(2, 1), (1, 2), (0, 3)]))
    middle = trace.part(1, 2)
    assert middle.equal(trace.sequence(1))
    for name in ("ids", "weights", "token_ids", "predicted"):
        assert np.array_equal(getattr(middle, name), getattr(trace, name)[3:6])
    decoded = trace.decode_only()
    assert decoded.token_ids.tolist() == trace.token_ids[[2, 4, 5, 6, 7, 8]].tolist()
    assert decoded.predicted.shape == (6, 2, *trace.ids.shape[1:])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"token_ids": np.zeros(4, np.int32)}, r"token_ids: must be int32 \(3,\)"),
        ({"token_ids": np.zeros(3, np.int64)}, "token_ids: must be int32"),
        ({"predicted": np.zeros((3, 1, 2, 1), np.uint8)}, r"predicted: must be uint8 \[token, ahead, layer, k\]"),
        ({"predicted": np.zeros((3, 2, 2), np.uint8)}, "predicted: must be uint8"),
    ],
)
def test_columns_of_another_shape_are_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(FormatError, match=complaint):
        replace(random_trace([(1, 2)], n_layers=2, top_k=2), **change)


def test_an_expert_that_was_predicted_but_does_not_exist_is_named() -> None:
    trace = with_all(random_trace([(1, 2)], n_experts=6))
    trace.predicted[1, 0, 1, 0] = 9
    with pytest.raises(FormatError, match=r"token 1, layer 1: predicted expert id must be below 6 \(got 9\)"):
        trace.validate()


@given(sequence_lists, st.booleans(), st.sampled_from([6, 300]))
def test_save_and_load_are_inverse(
    tmp_path_factory: pytest.TempPathFactory, sequences: list[tuple[int, int]], weighted: bool, n_experts: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "t.trace.arrow"
    trace = random_trace(sequences, n_experts=n_experts, provenance={"source": "test"})
    trace = with_weights(trace) if weighted else trace
    trace.save(path)
    assert RoutingTrace.load(path).equal(trace)


def test_equal_traces_are_saved_as_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with_weights(random_trace([(2, 3)])).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"n_experts": 7},
        {"provenance": {"a": 1}},
        {"prompt_tokens": np.array([1, 0])},
        {"offsets": np.array([0, 3, 5])},
        {"ids": np.zeros((5, 2, 2), np.uint8)},
        {"weights": np.zeros((5, 2, 2), np.float32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_traces_that_differ_anywhere_are_not_equal(change: dict[str, Any]) -> None:
    trace = random_trace([(2, 0), (1, 2)])
    assert trace.equal(random_trace([(2, 0), (1, 2)]))
    assert not trace.equal(replace(trace, **change))


def test_loading_maps_the_file_instead_of_reading_it(tmp_path: Path) -> None:
    big = random_trace([(0, 1)], n_layers=48, n_experts=128, top_k=8)
    big = replace(
        big, ids=np.broadcast_to(big.ids, (100_000, 48, 8)), offsets=np.array([0, 100_000]), prompt_tokens=np.array([9])
    )
    big.save(tmp_path / "big")
    start = perf_counter()
    loaded = RoutingTrace.load(tmp_path / "big")
    assert perf_counter() - start < 0.5
    assert not loaded.ids.flags.writeable
    assert not loaded.ids.flags.owndata
    assert loaded.ids.shape == (100_000, 48, 8)


def test_a_sequence_is_a_view_and_a_trace_of_its_own() -> None:
    trace = with_weights(random_trace([(1, 1), (2, 3)]))
    second = trace.sequence(1)
    assert (second.n_tokens, second.n_sequences, second.prompt_tokens.tolist()) == (5, 1, [2])
    assert np.array_equal(second.ids, trace.ids[2:])
    assert np.shares_memory(second.ids, trace.ids)
    assert second.weights is not None
    assert np.array_equal(second.weights, trace.weights[2:])  # type: ignore[index]


@given(sequence_lists)
def test_decode_only_drops_exactly_the_prompts(sequences: list[tuple[int, int]]) -> None:
    trace = with_weights(random_trace(sequences))
    decode = trace.decode_only()
    rows = [s + p + i for s, (p, o) in zip(trace.offsets, sequences, strict=False) for i in range(o)]
    assert np.array_equal(np.flatnonzero(~trace.is_prompt()), rows)
    assert np.array_equal(decode.ids, trace.ids[rows] if rows else trace.ids[:0])
    assert np.diff(decode.offsets).tolist() == [output for _, output in sequences]
    decode.validate()


@pytest.mark.parametrize("decode_only", [False, True])
def test_popularity_counts_selections_and_not_what_is_missing(decode_only: bool) -> None:
    trace = random_trace([(2, 3), (1, 4)], n_layers=3)
    trace.ids[4, 1] = trace.missing
    expected = np.zeros((3, 6), dtype=int)
    for token in range(trace.n_tokens):
        if decode_only and token in (0, 1, 5):
            continue
        for layer in range(3):
            for expert in trace.ids[token, layer]:
                if expert != 255:
                    expected[layer, expert] += 1
    assert np.array_equal(trace.popularity(decode_only), expected)


def test_ids_are_wide_enough_for_the_experts_and_the_missing_mark() -> None:
    assert id_dtype(255) == np.uint8
    assert id_dtype(256) == np.uint16


BASE = random_trace([(2, 0), (1, 2)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": BASE.ids.astype(np.int64)}, "ids: must be uint8 or uint16"),
        ({"ids": BASE.ids[:, 0]}, r"\[token, layer, k\], is uint8 \(5, 2\)"),
        ({"ids": BASE.ids[:, :0]}, r"is uint8 \(5, 0, 2\)"),
        ({"n_experts": 1}, "ids: 2 experts a token, but only 1 exist"),
        ({"n_experts": 256}, "uint8 cannot hold 256 experts"),
        ({"offsets": np.array([1, 2, 5])}, "offsets: must be one-dimensional and start with 0"),
        ({"offsets": np.array([0, 2, 4])}, r"offsets: must end at the number of tokens, 5 \(got 4\)"),
        ({"prompt_tokens": np.array([0])}, "prompt_tokens: must have one value for each of 2 sequences"),
        ({"weights": np.zeros((5, 2, 1), np.float32)}, r"weights: must be float32 \(5, 2, 2\)"),
        ({"weights": np.zeros((5, 2, 2))}, r"weights: must be float32 .*is float64"),
    ],
)
def test_wrong_shapes_are_refused_at_once(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        replace(BASE, **change)


def damaged(token: int, layer: int, value: list[float], field: str = "ids") -> RoutingTrace:
    trace = with_weights(random_trace([(2, 3), (1, 4)], n_layers=3))
    getattr(trace, field)[token, layer] = value
    return trace


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        (damaged(7, 2, [0, 6]), r"token 7, layer 2: expert id must be below 6 \(got 6\)"),
        (damaged(8, 1, [3, 3]), r"token 8, layer 1: the same expert twice \(got 3\)"),
        (damaged(3, 0, [0.5, np.nan], "weights"), "token 3, layer 0: gate weight must be finite and not negative"),
        (damaged(9, 2, [-0.5, 1], "weights"), r"token 9, layer 2: gate weight must .*\(got -0.5\)"),
        (replace(BASE, offsets=np.array([0, 6, 5])), "sequence 1: offsets decrease"),
        (replace(BASE, prompt_tokens=np.array([2, 4])), "sequence 1: its prompt must have 0 to 3 tokens"),
        (replace(BASE, prompt_tokens=np.array([-1, 0])), "sequence 0: its prompt must have 0 to 2 tokens"),
    ],
)
@pytest.mark.parametrize("chunk_tokens", [1, 4, 100])
def test_validate_names_the_first_offender(
    monkeypatch: pytest.MonkeyPatch, trace: RoutingTrace, message: str, chunk_tokens: int
) -> None:
    monkeypatch.setattr(trace_check, "_CHUNK_TOKENS", chunk_tokens)
    with pytest.raises(FormatError, match=message):
        trace.validate()


def test_validate_names_the_earliest_of_several_faults_and_the_file() -> None:
    trace = damaged(7, 2, [0, 6])
    trace.ids[5, 1] = [2, 2]
    with pytest.raises(FormatError, match=r"^in\.csv: token 5, layer 1: the same expert twice"):
        trace.validate("in.csv")


def test_missing_ids_are_valid_even_repeated_and_their_weights_do_not_matter() -> None:
    trace = damaged(4, 2, [255, 255])
    trace.weights[4, 2] = np.nan  # type: ignore[index]
    trace.validate()


def test_a_table_that_is_no_trace_is_refused(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "ids": Ragged(np.array([0, 1]), np.zeros((1, 4), np.uint8)),
        "prompt_tokens": np.array([0]),
    }
    for meta in ({}, {"top_k": 0, "n_experts": 4, "provenance": {}}, {"top_k": 3, "n_experts": 4, "provenance": {}}):
        write_table(tmp_path / "x", kind="trace", version=1, columns=columns, meta=meta)
        with pytest.raises(FormatError, match=r"x: not a usable trace: .*; import it again"):
            RoutingTrace.load(tmp_path / "x")
