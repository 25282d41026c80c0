from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from scenarios.commands.trace_record import record
from sim.errors import InputError
from sim.trace import RoutingTrace

torch = pytest.importorskip("torch", reason="needs the extra hw")
transformers = pytest.importorskip("transformers", reason="needs the extra hf")

WORDS = ["<unk>", *["a", "b", "c", "d", "e", "f", "g", "h"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny OLMoE with a tokenizer of nine words, and a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    place = tmp_path_factory.mktemp("model")
    torch.manual_seed(1)
    config = transformers.OlmoeConfig(
        vocab_size=16, hidden_size=32, intermediate_size=16, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, num_experts=8, num_experts_per_tok=2,
    )  # fmt: skip
    transformers.OlmoeForCausalLM(config).save_pretrained(place)
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(place)
    (place / "text.txt").write_text(" ".join(WORDS[1:] * 3), encoding="utf-8")
    return place


def run(*arguments: str | Path) -> str:
    app = typer.Typer()
    app.command()(record)
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_a_text_is_cut_into_sequences_and_its_routing_saved(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.trace.arrow"
    said = run("--model", folder, "--text", folder / "text.txt", "--out", out, "--length", 10, "--prompt", 4)
    trace = RoutingTrace.load(out)
    assert trace.offsets.tolist() == [0, 10, 20], "24 tokens make two whole sequences"
    assert trace.prompt_tokens.tolist() == [4, 4]
    assert trace.token_ids[:10].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 1, 2]
    assert trace.ahead == 1
    assert trace.provenance["dataset"] == "text.txt"
    assert "20 tokens in 2 sequences, 2 layers of 8 experts, 2 a token" in said


def test_how_well_early_gates_predict_can_be_read_off_the_record(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.trace.arrow"
    run("--model", folder, "--text", folder / "text.txt", "--out", out, "--generate", 3, "--sequences", 1)
    trace = RoutingTrace.load(out)
    early = trace.predicted[:, 0, 1]
    recall = (trace.ids[:, 1, :, None] == early[:, None, :]).any(axis=2).mean()
    assert trace.n_tokens == 27
    assert 0 < recall < 1
    assert (early < 8).all()
    assert np.array_equal(np.unique(trace.provenance["prompts_sha256"]).shape, (1,))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"--out": "r.npz"}, r"--out: must end in \.arrow \(got 'r\.npz'\)"),
        ({"--prompt": 11}, r"--prompt: is more than --length, 10 \(got 11\)"),
        ({"--text": "no.txt"}, r"no\.txt: no such file"),
        ({"--model": "no-such-folder/model/x"}, r"--model: cannot be loaded"),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_nothing_is_written(
    folder: Path, tmp_path: Path, change: dict[str, str | int], complaint: str
) -> None:
    asked = {"--model": folder, "--text": folder / "text.txt", "--out": tmp_path / "r.arrow", "--length": 10} | change
    with pytest.raises(InputError, match=complaint):
        run(*(part for option in asked.items() for part in option))
    assert list(tmp_path.iterdir()) == []
