from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import FormatError, InputError
from sim.importers import IMPORTERS, import_bigmoe, import_esft, import_npz, import_nvmoe, import_vllm
from sim.trace import RoutingTrace
from tests.traces import random_trace

NVMOE = [
    [[1, 4], [1, 0], [2, 3], [2, 5]],
    [[1, 2], [1, 1], [2, 5], [2, 0]],
    [[1, 4], [1, 5], [2, 1], [2, 2]],
]


def write_nvmoe(path: Path, tokens: list[Any]) -> Path:
    path.write_text("".join(json.dumps(token) + "\n" for token in tokens))
    return path


def test_nvmoe_lines_become_tokens_and_layers_are_counted_from_zero(tmp_path: Path) -> None:
    trace = import_nvmoe(write_nvmoe(tmp_path / "t.jsonl", NVMOE))
    assert trace.ids.tolist() == [[[4, 0], [3, 5]], [[2, 1], [5, 0]], [[4, 5], [1, 2]]]
    assert (trace.n_experts, trace.offsets.tolist(), trace.prompt_tokens.tolist()) == (6, [0, 3], [0])
    assert trace.provenance["layers"] == [1, 2]


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_nvmoe_prompts_are_found_by_the_skipped_last_layer(
    tmp_path_factory: pytest.TempPathFactory, skipped: list[bool]
) -> None:
    path = tmp_path_factory.getbasetemp() / "t.jsonl"
    skipped[-1] = False
    trace = import_nvmoe(write_nvmoe(path, [NVMOE[0][:2] if skip else NVMOE[0] for skip in skipped]))
    prompts, offsets = [], [0]
    for row, skip in enumerate(skipped):
        if skip and (row == 0 or not skipped[row - 1]):
            prompts.append((row, skipped.index(False, row) + 1 - row))
    starts = [start for start, _ in prompts]
    offsets = [*([] if 0 in starts else [0]), *starts, len(skipped)]
    assert trace.offsets.tolist() == offsets
    assert trace.prompt_tokens.tolist() == [dict(prompts).get(start, 0) for start in offsets[:-1]]
    assert ((trace.ids[:, 1] == trace.missing).all(axis=1) == skipped).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.jsonl: no token lines; give token lines"),
        ("[[0, 1], [0, 2]]\n[[0, 3], [0", "line 2: not JSON, or cut off"),
        ("[[0, 1], [0, 2]]\n\n", "line 2: not JSON"),
        ('{"l": 0, "t": 1, "e": [[1, 2]]}\n', r"line 1: not an array of \[layer, expert\] pairs"),
        ("[[0, 1, 2]]\n", "line 1: not an array"),
        ("[[0, -1]]\n", "line 1: not an array"),
        ("[[0, 1.5]]\n", "line 1: not an array"),
        ("[[0, 65535]]\n", "line 1: not an array"),
        ("[[true, 1]]\n", "line 1: not an array"),
        ("7\n", "line 1: not an array"),
        ("[[0, 1]]\n[]\n", "line 2: token without experts"),
        ("[[0, 1], [0, 2]]\n[[0, 1]]\n", "line 2: layer 0 has 1 experts instead of 2"),
        ("[[0, 1], [0, 1]]\n", "line 1: layer 0 has expert 1 twice"),
        ("[[0, 1], [1, 1], [2, 1]]\n[[0, 1], [2, 1]]\n", "line 2: layer 1 has 0 experts instead of 1"),
    ],
)
def test_bad_nvmoe_lines_are_refused_with_line_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(FormatError, match=message) as error:
        import_nvmoe(path)
    assert str(error.value).startswith(str(path))
    assert "; give token lines" in str(error.value)
    assert "\n" not in str(error.value)


def save_npz(path: Path, trace: RoutingTrace, **changes: Any) -> Path:
    arrays: dict[str, Any] = {"ids": trace.ids, "offsets": trace.offsets, "n_experts": trace.n_experts} | changes
    np.savez_compressed(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


TRACE = random_trace([(2, 1), (0, 3)])


def test_npz_with_all_optional_arrays_is_read(tmp_path: Path) -> None:
    weights = np.random.default_rng(1).random(TRACE.ids.shape).astype(np.float16)
    path = save_npz(
        tmp_path / "t.npz", TRACE, weights=weights, prompt_tokens=TRACE.prompt_tokens, meta=json.dumps({"source": "me"})
    )
    trace = import_npz(path)
    assert trace.provenance == {"format": "npz", "file": "t.npz", "meta": {"source": "me"}}
    assert trace.weights is not None
    assert np.array_equal(trace.weights, weights.astype(np.float32))
    assert trace.weights.dtype == np.float32
    assert np.array_equal(trace.ids, TRACE.ids)
    assert np.array_equal(trace.prompt_tokens, [2, 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_npz_tokens_and_predictions_are_read_too(tmp_path: Path, dtype: Any) -> None:
    predicted = np.stack([TRACE.ids, TRACE.ids[::-1]], axis=1).astype(dtype)
    predicted[:, :, 0] = np.iinfo(dtype).max
    trace = import_npz(save_npz(tmp_path / "t.npz", TRACE, token_ids=np.arange(TRACE.n_tokens), predicted=predicted))
    assert trace.token_ids is not None
    assert trace.predicted is not None
    assert trace.token_ids.tolist() == list(range(TRACE.n_tokens))
    assert (trace.ahead, trace.predicted.dtype) == (2, np.uint8)
    assert np.array_equal(trace.predicted[:, 1, 1], TRACE.ids[::-1, 1])
    assert (trace.predicted[:, :, 0] == trace.missing).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_npz_ids_of_any_width_keep_their_missing_mark(tmp_path: Path, dtype: Any) -> None:
    ids = TRACE.ids.astype(dtype)
    ids[1, 1] = np.iinfo(dtype).max
    trace = import_npz(save_npz(tmp_path / "t.npz", TRACE, ids=ids))
    assert trace.ids.dtype == np.uint8
    assert np.argwhere(trace.ids == 255).tolist() == [[1, 1, 0], [1, 1, 1]]
    assert trace.prompt_tokens.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": None}, "no array named 'offsets'; save ids"),
        ({"ids": TRACE.ids.astype(float)}, "ids must be integers, are float64"),
        ({"ids": TRACE.ids.astype(int) - 9}, "ids must be from 0 to 5, are from -9"),
        ({"n_experts": 4}, "ids must be from 0 to 3, are from 0 to 5"),
        ({"n_experts": 256}, "uint8 ids cannot hold 256 experts"),
        ({"n_experts": 1, "ids": TRACE.ids * 0}, "2 experts a token, but only 1 exist"),
        ({"ids": TRACE.ids * 0}, "t.npz: token 0, layer 0: the same expert twice"),
        ({"ids": TRACE.ids[0]}, r"ids: must be uint8 or uint16 \[token"),
        ({"ids": TRACE.ids[:0]}, "offsets: must end at the number of tokens, 0"),
        ({"offsets": np.array([0, 9, 6])}, "t.npz: sequence 1: offsets decrease"),
        ({"offsets": np.array([0.5, 6])}, "Cannot cast"),
        ({"offsets": np.array(0)}, "unsized"),
        ({"weights": np.full(TRACE.ids.shape, np.nan)}, "t.npz: token 0, layer 0: gate weight must be finite"),
        ({"prompt_tokens": np.array([4, 0])}, "sequence 0: its prompt must have 0 to 3 tokens"),
        ({"meta": "{"}, "t.npz: "),
        ({"token_ids": np.arange(6) / 2}, "token_ids must be integers, are float64"),
        ({"token_ids": np.arange(6) - 1}, "token_ids must be from 0 to"),
        ({"token_ids": np.arange(5)}, r"token_ids: must be int32 \(6,\)"),
        ({"predicted": TRACE.ids}, r"predicted: must be uint8 \[token, ahead, layer, k\]"),
        ({"predicted": TRACE.ids[:, None] + 40}, "predicted must be from 0 to 5, are from 40"),
    ],
)
def test_bad_npz_content_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message) as error:
        import_npz(save_npz(tmp_path / "t.npz", TRACE, **changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kept", [0, 10, 200, -30])
def test_a_truncated_npz_is_refused(tmp_path: Path, kept: int) -> None:
    path = save_npz(tmp_path / "t.npz", TRACE)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FormatError, match=r"t\.npz: truncated or not an \.npz archive"):
        import_npz(path)


def test_a_single_array_and_pickled_objects_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "single.npz").open("wb") as file:
        np.save(file, TRACE.ids)
    save_npz(tmp_path / "pickled.npz", TRACE, meta=np.array([{"a": 1}], dtype=object))
    for name in ("single.npz", "pickled.npz"):
        with pytest.raises(FormatError, match=r"not an \.npz archive of plain arrays"):
            import_npz(tmp_path / name)


@pytest.mark.parametrize("importer", IMPORTERS.values(), ids=IMPORTERS)
def test_every_importer_refuses_missing_and_alien_files(
    tmp_path: Path, importer: Callable[[str | Path], RoutingTrace]
) -> None:
    with pytest.raises(InputError, match="nowhere: no such file"):
        importer(tmp_path / "nowhere")
    (tmp_path / "alien").write_bytes(bytes(range(256)))
    with pytest.raises(FormatError, match="alien: "):
        importer(tmp_path / "alien")


def test_the_formats_have_the_names_of_their_importers() -> None:
    assert {
        "nvmoe": import_nvmoe, "bigmoe": import_bigmoe, "vllm": import_vllm, "esft": import_esft, "npz": import_npz
    } == IMPORTERS  # fmt: skip
