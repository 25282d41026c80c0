from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.errors import FormatError
from sim.importers.vllm import import_vllm
from sim.trace import RoutingTrace
from tests.traces import random_trace

META = {"type": "meta", "model_id": "some/moe", "vllm_version": "0.6", "layers_logged": [3, 5], "top_k": 2}


def route(req: str, token: int, layer: int, ids: list[int], weights: list[float] | None = None) -> dict[str, Any]:
    record = {"type": "route", "req_id": req, "token_idx": token, "layer": layer, "topk_ids": ids}
    return record | ({} if weights is None else {"topk_weights": weights})


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_requests_become_sequences_and_layers_are_counted_from_zero(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        META,
        route("b", 0, 3, [4, 0], [0.75, 0.25]),
        route("a", 0, 3, [1, 2], [0.5, 0.5]),
        route("b", 0, 5, [3, 1], [0.625, 0.375]),
        route("a", 0, 5, [0, 4], [1, 0]),
        route("b", 1, 5, [2, 0], [0.5, 0.25]),
        route("b", 1, 3, [4, 3], [0.5, 0.125]),
    )
    trace = import_vllm(path)
    assert trace.ids.tolist() == [[[4, 0], [3, 1]], [[4, 3], [2, 0]], [[1, 2], [0, 4]]]
    assert trace.weights is not None
    assert trace.weights.tolist() == [[[0.75, 0.25], [0.625, 0.375]], [[0.5, 0.125], [0.5, 0.25]], [[0.5, 0.5], [1, 0]]]
    assert (trace.offsets.tolist(), trace.prompt_tokens.tolist(), trace.n_experts) == ([0, 2, 3], [0, 0], 5)
    assert trace.provenance["layers"] == [3, 5]
    assert (trace.provenance["model_id"], trace.provenance["vllm_version"]) == ("some/moe", "0.6")


def test_a_logger_that_counts_tokens_within_a_batch_is_read_in_order_of_its_records(tmp_path: Path) -> None:
    """Its meta record may come again with every batch."""
    meta = META | {"layers_logged": [0], "num_experts": 60}
    records = [route("r1", token, 0, [8 * batch, token]) for batch in (1, 2) for token in range(3)]
    trace = import_vllm(write(tmp_path / "t.jsonl", meta, *records[:3], meta, *records[3:]))
    assert trace.ids[:, 0].tolist() == [[8, 0], [8, 1], [8, 2], [16, 0], [16, 1], [16, 2]]
    assert (trace.n_experts, trace.weights) == (60, None)


def test_a_trace_written_as_a_log_is_read_back(tmp_path: Path) -> None:
    trace = random_trace([(0, 3), (0, 1), (0, 4)], n_layers=3, n_experts=300, top_k=4)
    records = [
        route(f"r{request}", token, layer, trace.sequence(request).ids[token, layer].tolist())
        for layer in range(3)
        for request in range(3)
        for token in range(trace.sequence(request).n_tokens)
    ]
    meta = META | {"layers_logged": [0, 1, 2], "top_k": 4, "num_experts": 300}
    found = import_vllm(write(tmp_path / "t.jsonl", meta, *records))
    assert np.array_equal(found.ids, trace.ids)
    assert found.offsets.tolist() == trace.offsets.tolist()
    assert isinstance(found, RoutingTrace)


GOOD = route("a", 0, 3, [0, 1], [0.5, 0.5])
OTHER = route("a", 0, 5, [0, 1], [0.5, 0.5])


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "line 1: not JSON, or cut off"),
        ([GOOD], "line 1: not a meta record"),
        ([META | {"layers_logged": []}, GOOD], "line 1: not a meta record"),
        ([META | {"layers_logged": [3, 3]}, GOOD], "line 1: layers_logged must be different layer numbers"),
        ([META | {"top_k": 0}], "line 1: top_k must be a number from 1"),
        ([META | {"num_experts": 1}], "line 1: num_experts must be a number from top_k"),
        ([META], "t.jsonl: no route records"),
        ([META, GOOD, {"type": "route"}], "line 3: not a route record"),
        ([META, GOOD, OTHER | {"layer": 4}], r"line 3: layer 4 is not among the layers logged, \[3, 5\]"),
        ([META, GOOD, OTHER | {"topk_ids": [1]}], "line 3: topk_ids must be 2 expert ids"),
        ([META, GOOD, OTHER | {"topk_ids": [1, -1]}], "line 3: topk_ids must be 2 expert ids"),
        ([META, GOOD, OTHER | {"topk_ids": [1, 1]}], "line 3: topk_ids has an expert twice"),
        ([META, GOOD, OTHER | {"topk_weights": None}], "line 3: some records have topk_weights and some have not"),
        ([META, route("a", 0, 3, [0, 1]), OTHER], "line 3: some records have topk_weights and some have not"),
        ([META, GOOD, OTHER | {"topk_weights": ["x", 1]}], "line 3: topk_weights must be 2 numbers"),
        ([META, GOOD], "request a: layer 5 has 0 of its 1 tokens"),
        ([META, GOOD, OTHER | {"token_idx": 1}], "line 3: token_idx 1 where another layer has 0"),
        ([META | {"num_experts": 2}, GOOD, OTHER | {"topk_ids": [1, 2]}], "line 3: topk_ids must be below num_experts"),
        ([META, GOOD, OTHER | {"topk_weights": [0.5, -0.5]}], "token 0, layer 1: gate weight must be finite"),
    ],
)
def test_bad_logs_are_refused_with_line_and_remedy(tmp_path: Path, records: list[dict[str, Any]], message: str) -> None:
    path = write(tmp_path / "t.jsonl", *records)
    with pytest.raises(FormatError, match=message) as error:
        import_vllm(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_log_that_is_cut_off_names_its_last_line(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", META, GOOD, OTHER)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(FormatError, match=r"line 3: not JSON, or cut off; give a whole log"):
        import_vllm(path)
