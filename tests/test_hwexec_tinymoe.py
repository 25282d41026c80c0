"""The small model of our own: it learns, resumes to the bit, decodes as it reads, and its routing can be recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra hw")
pytest.importorskip("tokenizers", reason="needs the extra hf")
pytest.importorskip("transformers", reason="needs the extra hf")

from hwexec.recording import Request, record  # noqa: E402
from hwexec.tinymoe import corpus, train  # noqa: E402
from hwexec.tinymoe.__main__ import main  # noqa: E402
from hwexec.tinymoe.network import Experts, Geometry, TinyMoE, TinyRouter  # noqa: E402
from hwexec.tinymoe.train import Recipe, load, perplexity  # noqa: E402
from scenarios.presets import load_model  # noqa: E402
from sim.errors import FormatError  # noqa: E402

SMALL = Geometry(layers=2, experts=6, top_k=2, width=24, expert_hidden=16, heads=2, vocab=40)
RECIPE = Recipe(tokens=4 * 16 * 60, batch=4, length=16, rate=1e-2)


@pytest.fixture
def text() -> torch.Tensor:
    """A language of one rule: each token is followed by the next but one."""
    return (torch.arange(4000) * 2) % SMALL.vocab


def test_experts_run_on_their_own_tokens_and_are_summed_by_weight() -> None:
    torch.manual_seed(0)
    experts, states = Experts(SMALL), torch.randn(5, SMALL.width)
    _, weights, ids = TinyRouter(SMALL)(states)
    expected = torch.zeros_like(states)
    for token in range(5):
        for rank in range(SMALL.top_k):
            expert = ids[token, rank]
            gate, up = (states[token] @ experts.gate_up[expert]).chunk(2)
            out = (torch.nn.functional.silu(gate) * up) @ experts.down[expert]
            expected[token] += weights[token, rank] * out
    torch.testing.assert_close(experts(states, ids, weights), expected)


def test_decoding_with_a_cache_gives_what_reading_at_once_gives() -> None:
    torch.manual_seed(0)
    model, tokens = TinyMoE(SMALL).eval(), torch.randint(0, SMALL.vocab, (1, 9))
    whole = model(tokens).logits
    first = model(tokens[:, :6], use_cache=True)
    parts, past = [first.logits], first.past_key_values
    for i in range(6, 9):
        out = model(tokens[:, i : i + 1], past_key_values=past, use_cache=True)
        parts, past = [*parts, out.logits], out.past_key_values
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)


def test_it_learns(text: torch.Tensor, tmp_path: Path) -> None:
    untrained = perplexity(TinyMoE(SMALL).eval(), text, 16)
    model = train.train(text, SMALL, RECIPE, tmp_path)
    assert perplexity(model, text, 16) < 3 < SMALL.vocab / 2 < untrained
    assert torch.equal(load(tmp_path)(text[None, :8]).logits, model(text[None, :8]).logits)


def test_a_stopped_training_goes_on_to_the_same_model(
    text: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_EVERY", 10)
    whole = train.train(text, SMALL, RECIPE, tmp_path / "whole")

    def stop(text: str, share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.train(text, SMALL, RECIPE, tmp_path / "parts", progress=stop)
    resumed = train.train(text, SMALL, RECIPE, tmp_path / "parts")
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_folder_with_another_training_is_left_alone(text: torch.Tensor, tmp_path: Path) -> None:
    train.train(text, SMALL, replace(RECIPE, tokens=64), tmp_path)
    with pytest.raises(FormatError, match="holds a model trained otherwise; choose another folder"):
        train.train(text, SMALL, replace(RECIPE, tokens=128), tmp_path)
    with pytest.raises(FormatError, match="holds no trained model"):
        load(tmp_path / "nothing")


def test_its_routing_is_recorded_like_any_other_models(text: torch.Tensor) -> None:
    torch.manual_seed(0)
    trace = record(TinyMoE(SMALL).eval(), [Request(text[:12].tolist(), 4)], generate=3, ahead=1)
    trace.validate()
    assert (trace.n_tokens, trace.n_layers, trace.n_experts, trace.top_k) == (15, 2, 6, 2)
    assert len(np.unique(trace.ids)) > 2
    assert trace.provenance["model"] == "tinymoe"


def test_the_preset_of_its_name_has_its_shapes_to_the_parameter() -> None:
    preset, geometry = load_model("tinymoe"), Geometry()
    assert preset.total_params == sum(parameter.numel() for parameter in TinyMoE(geometry).parameters())
    assert (preset.n_moe_layers, preset.n_experts, preset.top_k) == (geometry.layers, geometry.experts, geometry.top_k)


def test_held_out_files_are_never_trained_on(tmp_path: Path) -> None:
    for i in range(200):
        (tmp_path / f"m{i}.py").write_text("x = 1  # " + "y" * corpus._LEAST_BYTES)
    (tmp_path / "short.py").write_text("")
    train_files, held_out = (corpus.files(split, tmp_path) for split in ("train", "held-out"))
    assert not set(train_files) & set(held_out)
    assert len(train_files) + len(held_out) == 200
    assert 2 <= len(held_out) <= 25


def test_the_command_refuses_a_folder_without_a_model_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", str(tmp_path), str(tmp_path / "t.arrow")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("tinymoe: error: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "t.arrow").exists()
