"""Folders of expert weights, as the code of ESFT logs them, as routing traces."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.errors import FormatError, InputError
from sim.inputs import read_text
from sim.trace import RoutingTrace, id_dtype

_TOP_K, _N_EXPERTS = 6, 64
"""DeepSeek-V2-Lite's, as get_expert_scores.py states them: the files do not."""
_REMEDY = "give a folder of expert_weights_*.txt as ESFT's get_expert_scores.py writes them, for DeepSeek-V2-Lite"


def import_esft(path: str | Path) -> RoutingTrace:
    """Read expert_scores/* of ESFT (github.com/deepseek-ai/ESFT, scripts/get_expert_scores.py): a file a MoE layer.

    A line is one forward pass over a whole sequence: its tokens' expert ids, six a token and all in a row, then,
    after an empty field, their gate weights. Such passes are teacher-forced and tell no phases: all tokens count as
    decoded. Raises FormatError naming file and line.
    """
    files = _layer_files(Path(path))
    dtype = id_dtype(_N_EXPERTS)
    lines = {layer: _read_layer(file) for layer, file in files.items()}
    first = next(iter(lines.values()))
    _refuse_other_lengths(files, lines)
    ids, weights = (
        np.stack([np.concatenate([line[part] for line in layer]) for layer in lines.values()], axis=1)
        for part in (0, 1)
    )
    trace = RoutingTrace(
        ids.astype(dtype),
        np.cumsum([0, *(len(line_ids) for line_ids, _ in first)]).astype(np.int64),
        np.zeros(len(first), np.int64),
        _N_EXPERTS,
        weights.astype(np.float32),
        {"format": "ESFT expert weights", "folder": Path(path).name, "layers": list(files), "phases": "not told"},
    )
    trace.validate(path)
    return trace


def _layer_files(folder: Path) -> dict[int, Path]:
    """The files by block, ascending."""
    if not folder.exists():
        raise InputError("no such file or folder", file=folder, remedy="check the path")
    if not folder.is_dir():
        raise FormatError("not a folder", file=folder, remedy=_REMEDY)
    names = {file: re.fullmatch(r"expert_weights_(\d+)\.txt", file.name) for file in folder.iterdir()}
    files = {int(name[1]): file for file, name in names.items() if name}
    if not files:
        raise FormatError("no expert_weights_*.txt in it", file=folder, remedy=_REMEDY)
    return dict(sorted(files.items()))


def _read_layer(file: Path) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Ids and weights [token, k] of each line."""
    text = read_text(file, _REMEDY)
    if not text.endswith("\n"):
        raise _at_line(file, text.count("\n") + 1, "cut off")
    return [_parse(file, number, line) for number, line in enumerate(text.splitlines(), 1)]


def _parse(file: Path, number: int, line: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    try:
        first, second = line.split("\t\t")
        ids, weights = np.array(first.split("\t"), np.int64), np.array(second.split("\t"), np.float64)
    except (ValueError, OverflowError) as error:
        raise _at_line(file, number, "not expert ids, an empty field and weights") from error
    if len(ids) % _TOP_K or len(ids) != len(weights):
        raise _at_line(file, number, f"{len(ids)} ids and {len(weights)} weights are not {_TOP_K} a token each")
    for at in np.flatnonzero((ids < 0) | (ids >= _N_EXPERTS))[:1]:
        raise _at_line(file, number, f"token {at // _TOP_K} has expert {ids[at]}, there are 0 to {_N_EXPERTS - 1}")
    return ids.reshape(-1, _TOP_K), weights.reshape(-1, _TOP_K)


def _refuse_other_lengths(
    files: dict[int, Path], lines: dict[int, list[tuple[NDArray[np.int64], NDArray[np.float64]]]]
) -> None:
    """All layers must have the same sequences."""
    first = next(iter(lines))
    expected = [len(ids) for ids, _ in lines[first]]
    for layer, found in lines.items():
        pairs = zip_longest(expected, (len(ids) for ids, _ in found), fillvalue=0)
        for number, (here, there) in enumerate(pairs, 1):
            if here != there:
                complaint = f"{there} tokens, but {here} in {files[first].name}"
                raise _at_line(files[layer], number, complaint)


def _at_line(file: Path, number: int, complaint: str) -> FormatError:
    return FormatError(complaint, file=file, field=f"line {number}", remedy=_REMEDY)
