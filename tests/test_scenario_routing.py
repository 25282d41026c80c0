from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scenarios.presets import load_model
from scenarios.routing import recorded, synthetic
from scenarios.schema import TraceSpec, WorkloadSpec
from sim.errors import FormatError
from sim.model import MoEModel
from sim.trace import RoutingTrace
from tests.scenario_files import write_files


@pytest.fixture
def model(tmp_path: Path) -> MoEModel:
    write_files(tmp_path)
    return load_model(tmp_path / "tiny.yaml")


def save(path: Path, lengths: list[int], prompts: list[int]) -> RoutingTrace:
    """A trace of 2 layers × 4 experts, top-2, random but fixed."""
    rng = np.random.default_rng(1)
    ids = rng.random((sum(lengths), 2, 4)).argsort(axis=2)[:, :, :2].astype(np.uint8)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    trace = RoutingTrace(ids, offsets, np.array(prompts, np.int64), 4)
    trace.save(path)
    return trace


def counts(ids: np.ndarray) -> np.ndarray:
    return np.array([[(ids[:, layer] == expert).sum() for expert in range(4)] for layer in range(2)])


def test_the_first_share_of_sequences_gives_popularity_and_is_not_run(tmp_path: Path) -> None:
    whole = save(tmp_path / "t.arrow", [5, 7, 3, 4, 6], [2, 3, 1, 0, 2])
    routing = recorded(TraceSpec(file="t.arrow", calibrate_on=0.4), tmp_path / "t.arrow")
    assert np.array_equal(routing.popularity, counts(whole.ids[:12]))
    assert np.array_equal(routing.trace.ids, whole.ids[12:])
    assert routing.trace.offsets.tolist() == [0, 3, 7, 13]
    assert routing.trace.prompt_tokens.tolist() == [1, 0, 2]


@pytest.mark.parametrize(("prompt", "left"), [(0, 0), (3, 0), (5, 0), (12, 7)])
def test_of_a_single_sequence_it_is_the_first_tokens(tmp_path: Path, prompt: int, left: int) -> None:
    whole = save(tmp_path / "t.arrow", [20], [prompt])
    routing = recorded(TraceSpec(file="t.arrow", calibrate_on=0.25), tmp_path / "t.arrow")
    assert np.array_equal(routing.popularity, counts(whole.ids[:5]))
    assert np.array_equal(routing.trace.ids, whole.ids[5:])
    assert routing.trace.prompt_tokens.tolist() == [left]


@pytest.mark.parametrize("lengths", [[20], [5, 7, 3]])
def test_without_a_share_all_is_run_and_no_expert_is_known_to_be_popular(tmp_path: Path, lengths: list[int]) -> None:
    whole = save(tmp_path / "t.arrow", lengths, [2] * len(lengths))
    routing = recorded(TraceSpec(file="t.arrow", calibrate_on=0.0), tmp_path / "t.arrow")
    assert routing.trace.equal(whole)
    assert (routing.popularity == 1).all()


@pytest.mark.parametrize(("lengths", "left"), [([20], slice(5, None)), ([2, 3, 4, 3], slice(2, None))])
def test_gate_weights_tokens_and_predictions_go_with_their_tokens(
    tmp_path: Path, lengths: list[int], left: slice
) -> None:
    trace = save(tmp_path / "t.arrow", lengths, [1] * len(lengths))
    n = trace.n_tokens
    columns = {
        "weights": np.arange(n * 4, dtype=np.float32).reshape(n, 2, 2),
        "token_ids": np.arange(n, dtype=np.int32),
        "predicted": np.roll(trace.ids, 1, axis=0)[:, None],
    }
    whole = replace(trace, **columns)
    whole.save(tmp_path / "t.arrow")
    routing = recorded(TraceSpec(file="t.arrow"), tmp_path / "t.arrow")
    assert routing.calibration is not None
    for name, values in columns.items():
        assert np.array_equal(getattr(routing.trace, name), values[left])
        assert np.array_equal(getattr(routing.calibration, name), values[: left.start])


def test_a_truncated_trace_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "t.arrow", [20], [3])
    data = (tmp_path / "t.arrow").read_bytes()
    (tmp_path / "t.arrow").write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match="truncated"):
        recorded(TraceSpec(file="t.arrow"), tmp_path / "t.arrow")


def test_synthetic_requests_have_the_sizes_asked_for(model: MoEModel) -> None:
    trace = synthetic(WorkloadSpec(prompt=5, output=4, batch=2), model, seed=0).trace
    assert trace.prompt_tokens.tolist() == [5, 5]
    assert np.diff(trace.offsets).tolist() == [8, 8]  # the prefill yields the first output token
    assert (trace.n_layers, trace.n_experts, trace.top_k) == (2, 4, 2)


def test_synthetic_popularity_is_that_of_the_same_experts_on_other_tokens(model: MoEModel) -> None:
    routing = synthetic(WorkloadSpec(prompt=400, output=400), model, seed=3)
    run = routing.trace.popularity()
    assert not np.array_equal(routing.popularity, run)
    likeness = np.corrcoef(routing.popularity.ravel(), run.ravel())[0, 1]
    assert likeness > 0.8
    other = synthetic(WorkloadSpec(prompt=400, output=400), model, seed=4).popularity
    assert np.corrcoef(other.ravel(), run.ravel())[0, 1] < likeness


def test_equal_seeds_give_equal_requests(model: MoEModel) -> None:
    spec = WorkloadSpec(prompt=9, output=9)
    assert synthetic(spec, model, seed=1).trace.equal(synthetic(spec, model, seed=1).trace)
    assert not synthetic(spec, model, seed=1).trace.equal(synthetic(spec, model, seed=2).trace)
