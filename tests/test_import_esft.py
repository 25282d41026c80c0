from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim.errors import FormatError, InputError
from sim.importers.esft import import_esft
from sim.trace import RoutingTrace
from tests.traces import random_trace


def write(folder: Path, trace: RoutingTrace, first_layer: int = 1) -> Path:
    """The trace as ESFT's code logs it: a file a layer, a line a sequence."""
    folder.mkdir()
    assert trace.weights is not None
    for layer in range(trace.n_layers):
        lines = []
        for i in range(trace.n_sequences):
            part = trace.sequence(i)
            assert part.weights is not None
            ids, weights = part.ids[:, layer].ravel(), part.weights[:, layer].ravel()
            lines.append("\t".join(map(str, ids)) + "\t\t" + "\t".join(str(round(float(w), 4)) for w in weights) + "\n")
        (folder / f"expert_weights_{layer + first_layer}.txt").write_text("".join(lines))
    (folder / "summary.json").write_text("{}")
    return folder


@pytest.fixture
def trace() -> RoutingTrace:
    weights = np.round(np.random.default_rng(1).random((6, 11, 6)), 4).astype(np.float32)
    return random_trace([(0, 4), (0, 2)], n_layers=11, n_experts=64, top_k=6, weights=weights)


def test_lines_become_sequences_and_files_layers_in_order_of_their_numbers(tmp_path: Path, trace: RoutingTrace) -> None:
    found = import_esft(write(tmp_path / "law", trace))
    assert np.array_equal(found.ids, trace.ids)
    assert np.array_equal(found.weights, trace.weights)
    assert (found.offsets.tolist(), found.prompt_tokens.tolist(), found.n_experts) == ([0, 4, 6], [0, 0], 64)
    assert found.provenance["layers"] == list(range(1, 12)), "10 comes after 9"
    assert found.ids.dtype == np.uint8


def test_a_folder_without_such_files_a_file_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, kind, complaint in (
        ("empty", FormatError, r"no expert_weights_\*\.txt in it; give a folder"),
        ("file", FormatError, "not a folder; give a folder"),
        ("nowhere", InputError, "no such file or folder; check the path"),
    ):
        with pytest.raises(kind, match=f"{name}: {complaint}"):
            import_esft(tmp_path / name)


def first_line(text: str) -> str:
    return text[: text.index("\n") + 1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[:-3], "line 2: cut off"),
        (lambda text: "", "line 1: cut off"),
        (first_line, "line 2: 0 tokens, but 2 in expert_weights_1.txt"),
        (lambda text: text + first_line(text), "line 3: 4 tokens, but 0 in expert_weights_1.txt"),
        (lambda text: first_line(text) * 2, "line 2: 4 tokens, but 2 in expert_weights_1.txt"),
        (lambda text: text.replace("\t\t", "\t", 1), "line 1: not expert ids, an empty field and weights"),
        (lambda text: text.replace("\t", "\tx", 1), "line 1: not expert ids"),
        (lambda text: "9" * 30 + text, "line 1: not expert ids"),
        (lambda text: text[text.index("\t") + 1 :], "line 1: 23 ids and 24 weights are not 6 a token each"),
        (lambda text: "64" + text[text.index("\t") :], "line 1: token 0 has expert 64, there are 0 to 63"),
        (lambda text: "-1" + text[text.index("\t") :], "line 1: token 0 has expert -1, there are 0 to 63"),
    ],
)
def test_bad_files_are_refused_by_name_line_and_remedy(
    tmp_path: Path, trace: RoutingTrace, spoil: object, message: str
) -> None:
    file = write(tmp_path / "law", trace) / "expert_weights_2.txt"
    file.write_text(spoil(file.read_text()))  # type: ignore[operator]
    with pytest.raises(FormatError, match=message) as error:
        import_esft(tmp_path / "law")
    assert str(error.value).startswith(f"{file}: ")
    assert "; give a folder of expert_weights_*.txt" in str(error.value)
    assert "\n" not in str(error.value)


def test_ids_that_are_not_six_a_token_are_found_out_by_experts_that_repeat(tmp_path: Path, trace: RoutingTrace) -> None:
    trace.ids[1, 3, 2] = trace.ids[1, 3, 0]
    with pytest.raises(FormatError, match=r"law: token 1, layer 3: the same expert twice"):
        import_esft(write(tmp_path / "law", trace))
