"""The recording that comes with moesim: real routing of our own small model, by name wherever a trace is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scenarios.load import load_scenario
from scenarios.presets import load_model
from scenarios.resolve import resolve
from scenarios.traces import find_trace, list_traces, load_trace
from sim.plan import check_trace
from sim.trace import RoutingTrace
from sim.trace_stats import stats
from tests.test_cli import moesim

MOST_BYTES = 5_000_000
SCENARIO = """
model: tinymoe
precision: fp32
machine: rtx-3060
trace: {file: tinymoe, calibrate_on: 0.98}
cache: 25%
predictor: {kind: recorded}
strategies: [{name: cache, prefetch: true}]
"""


@pytest.fixture(scope="module")
def tinymoe() -> RoutingTrace:
    return load_trace("tinymoe")


def test_it_is_small_and_long_enough(tinymoe: RoutingTrace) -> None:
    assert list_traces() == ["tinymoe"]
    assert find_trace("tinymoe").stat().st_size <= MOST_BYTES
    assert tinymoe.n_tokens >= 20_000
    prompts = int(tinymoe.prompt_tokens.sum())
    assert 0 < prompts < tinymoe.n_tokens, "both prefill and decode"


def test_it_is_of_the_model_of_that_name_and_says_how_it_was_made(tinymoe: RoutingTrace) -> None:
    check_trace(tinymoe, load_model("tinymoe"))
    made = tinymoe.provenance
    assert made["training"]["geometry"]["layers"] == tinymoe.n_layers
    assert made["dataset"].startswith("held-out files of the standard library of Python")
    assert 1 < made["perplexity"] < made["training"]["geometry"]["vocab"] / 20
    assert len(made["prompts_sha256"]) == tinymoe.n_sequences


def test_its_routing_is_that_of_a_trained_model(tinymoe: RoutingTrace) -> None:
    some = tinymoe.part(0, 16)
    found = stats(some.decode_only()).means()
    assert found["reuse"] > 1.3 * found["reuse_by_popularity"], "context, beyond popularity"
    assert found["next_recall"] > 1.3 * found["next_recall_by_popularity"], "layers that know of each other"
    assert found["overlap_32"] < found["overlap_8"] < found["reuse"]
    assert some.weights is not None
    assert np.allclose(some.weights.sum(-1), 1, atol=some.top_k / 512)


def test_its_early_gates_were_recorded_and_beat_chance(tinymoe: RoutingTrace) -> None:
    assert tinymoe.predicted is not None
    early, late = tinymoe.predicted[:2000, 0, 1:], tinymoe.ids[:2000, 1:]
    recall = (early[..., None] == late[..., None, :]).any(-2).mean()
    assert recall > 3 * tinymoe.top_k / tinymoe.n_experts


def test_a_scenario_finds_it_by_name_unless_a_file_of_its_own_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SCENARIO)
    assert resolve(load_scenario(str(tmp_path / "s.yaml"))).trace.n_layers == 16
    assert find_trace("tinymoe", tmp_path) == find_trace("tinymoe")
    (tmp_path / "tinymoe").write_text("")
    assert find_trace("tinymoe", tmp_path) == tmp_path / "tinymoe"


def test_the_commands_of_traces_find_it_by_name() -> None:
    assert "16 MoE layers × 32 experts, top-4" in moesim("trace", "stats", "tinymoe")
    hits = json.loads(moesim("replay", "tinymoe", "--policy", "lru", "--capacity", "50%", "--json"))
    assert hits
