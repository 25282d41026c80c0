from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scenarios.commands.trace import Format
from scenarios.routing_presets import load_routing
from sim.importers import IMPORTERS
from sim.trace import RoutingTrace
from tests.test_cli import moesim, refused


def test_synth_draws_a_trace_of_the_sizes_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "a.trace.arrow"
    moesim("trace", "synth", "--like", "olmoe-1b-7b", "--tokens", 100, "--sequences", 3, "--prompt", 4, "--out", out)
    trace = RoutingTrace.load(out)
    assert (trace.n_layers, trace.n_experts, trace.top_k, trace.n_tokens) == (16, 64, 8, 100)
    assert np.diff(trace.offsets).tolist() == [33, 33, 34]
    assert trace.prompt_tokens.tolist() == [4, 4, 4]


def test_synth_takes_the_shape_of_another_model_and_a_seed(tmp_path: Path) -> None:
    def draw(name: str, seed: int) -> bytes:
        options = ("--tokens", 50, "--seed", seed, "--model", "phi-3.5-moe", "--out", tmp_path / name)
        moesim("trace", "synth", "--like", "mixtral-8x7b", *options)
        return (tmp_path / name).read_bytes()

    assert draw("a", 1) == draw("b", 1) != draw("c", 2)
    assert RoutingTrace.load(tmp_path / "a").n_experts == 16


def test_sequences_are_as_long_as_those_that_the_preset_was_fitted_to(tmp_path: Path) -> None:
    moesim("trace", "synth", "--like", "olmoe-1b-7b", "--tokens", 598, "--out", tmp_path / "a")
    assert RoutingTrace.load(tmp_path / "a").offsets.tolist() == [0, 299, 598]


def test_a_preset_fitted_to_a_trace_can_be_drawn_and_reported(tmp_path: Path) -> None:
    trace, preset = tmp_path / "a.trace.arrow", tmp_path / "mine.yaml"
    moesim("trace", "synth", "--like", "mixtral-8x7b", "--tokens", 150, "--out", trace)
    fitted = moesim("trace", "fit", trace, "--out", preset, "--rounds", 1, "--tokens", 100, "--tasks", 2)
    assert "difference" in fitted
    assert load_routing(preset).goal.sequences == [100]
    assert load_routing(preset).style.tasks == 2
    drawn = tmp_path / "b.trace.arrow"
    moesim("trace", "synth", "--like", preset, "--tokens", 30, "--out", drawn)
    report = moesim("trace", "report", trace, "--like", preset, "--seeds", 1, "--json", tmp_path / "r.json")
    assert "target" in report
    assert set(json.loads((tmp_path / "r.json").read_text())) == {"mine"}


def test_report_compares_a_preset_with_its_own_targets() -> None:
    lines = moesim("trace", "report", "--like", "mixtral-8x7b", "--seeds", 1).splitlines()
    target, synthetic, difference = (
        [float(number.lstrip("!")) for number in line.split()[1:]]
        for line in lines
        if line.startswith(("target", "synthetic", "difference"))
    )
    assert target[0] == 0.988
    assert difference == pytest.approx([s - t for s, t in zip(synthetic, target, strict=True)], abs=0.0011)


def test_wrong_input_is_refused_in_one_line(tmp_path: Path) -> None:
    out = ("--out", tmp_path / "x")
    assert "did you mean olmoe-1b-7b?" in refused("trace", "synth", "--like", "olmo-1b-7b", "--tokens", 9, *out)
    prompt = refused("trace", "synth", "--like", "mixtral-8x7b", "--tokens", 9, "--prompt", 10, *out)
    assert "--prompt: sequences have 9 tokens (got 10); ask for fewer" in prompt
    assert "no such file" in refused("trace", "fit", tmp_path / "none", *out)
    assert "no such file" in refused("trace", "report", tmp_path / "none")
    many = refused("trace", "synth", "--like", "mixtral-8x7b", "--tokens", 3, "--sequences", 4, *out)
    assert "--sequences: there are only 3 tokens (got 4)" in many
    assert not (tmp_path / "x").exists()


def test_every_format_that_can_be_read_can_be_named() -> None:
    assert [each.value for each in Format] == list(IMPORTERS)


def test_traces_are_joined_in_turns(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        options = ("--tokens", 20, "--sequences", 2, "--seed", seed, "--out", tmp_path / name)
        moesim("trace", "synth", "--like", "mixtral-8x7b", *options)
    said = moesim("trace", "join", tmp_path / "a", tmp_path / "b", "--in-turns", "--out", tmp_path / "both")
    both = RoutingTrace.load(tmp_path / "both")
    assert np.array_equal(both.sequence(1).ids, RoutingTrace.load(tmp_path / "b").sequence(0).ids)
    assert "40 tokens in 4 sequences" in said
    assert "needs two traces or more" in refused("trace", "join", tmp_path / "a", "--out", tmp_path / "c")
