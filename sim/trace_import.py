"""Routing traces from other tools' files; `IMPORTERS` names the formats."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from sim.errors import FormatError
from sim.inputs import existing, read_text
from sim.route_csv import read_route_csv
from sim.trace import ExpertIds, RoutingTrace, id_dtype

_NVMOE_REMEDY = "give token lines as nvmoe's trace_post.py writes them: [[layer, expert], …]"
_NPZ_REMEDY = "save ids [token, layer, k], offsets, n_experts, optionally weights, prompt_tokens and meta"


def import_nvmoe(path: str | Path) -> RoutingTrace:
    """Read nvmoe token lines (github.com/BrianBoitano/nvmoe, docs/TRACE_COLLECTION.md): one JSON array a token.

    Each line lists [layer, expert] pairs. llama.cpp skips the last layer of all prompt tokens but one: a run of such
    lines and the line after it are a prompt and start a sequence. The file does not say how many experts there are:
    n_experts is the highest id + 1. Raises FormatError naming the line.
    """
    lines = read_text(path, _NVMOE_REMEDY).splitlines()
    tokens = [_parse_nvmoe(path, number, line) for number, line in enumerate(lines, 1)]
    if not tokens:
        raise FormatError("no token lines", file=path, remedy=_NVMOE_REMEDY)
    layers = sorted(set().union(*tokens))
    top_k = len(next(iter(tokens[0].values())))
    n_experts = 1 + max(max(experts) for token in tokens for experts in token.values())
    dtype = id_dtype(n_experts)
    ids = np.full((len(tokens), len(layers), top_k), np.iinfo(dtype).max, dtype=dtype)
    for row, token in enumerate(tokens):
        for ordinal, layer in enumerate(layers):
            experts = token.get(layer, [])
            if len(experts) == top_k:
                ids[row, ordinal] = experts
            elif experts or layer != layers[-1]:
                raise _at_line(path, row + 1, f"layer {layer} has {len(experts)} experts instead of {top_k}")
    offsets, prompt_tokens = _nvmoe_sequences(ids)
    provenance = {
        "format": "nvmoe token lines",
        "file": Path(path).name,
        "layers": layers,
        "n_experts": "highest id + 1",
    }
    trace = RoutingTrace(ids, offsets, prompt_tokens, n_experts, provenance=provenance)
    trace.validate(path)
    return trace


def import_bigmoe(path: str | Path) -> RoutingTrace:
    """Read the routing of a BigMoeOnEdge route CSV; `sim.route_csv.read_route_csv` gives its cache record too."""
    return read_route_csv(path).trace


def import_npz(path: str | Path) -> RoutingTrace:
    """Read a plain NumPy archive: ids [token, layer, k], offsets [sequence + 1], n_experts; optional others.

    Optional are weights (any float), prompt_tokens (default 0: decode only) and meta (a JSON text, kept as
    provenance). Missing ids are marked by the highest value of their dtype. Raises FormatError naming the array.
    """
    arrays = _read_npz(path)
    try:
        n_experts = int(arrays["n_experts"])
        ids = _narrow(arrays["ids"], n_experts)
        offsets = arrays["offsets"].astype(np.int64, casting="safe")
        prompt_tokens = arrays.get("prompt_tokens", np.zeros(len(offsets) - 1, np.int64)).astype(
            np.int64, casting="safe"
        )
        weights = arrays["weights"].astype(np.float32, casting="same_kind") if "weights" in arrays else None
        provenance = {"format": "npz", "file": Path(path).name, "meta": json.loads(str(arrays.get("meta", "null")))}
        trace = RoutingTrace(ids, offsets, prompt_tokens, n_experts, weights, provenance)
    except KeyError as error:
        raise FormatError(f"no array named {error}", file=path, remedy=_NPZ_REMEDY) from error
    except (TypeError, ValueError, FormatError) as error:
        raise FormatError(str(error), file=path, remedy=_NPZ_REMEDY) from error
    trace.validate(path)
    return trace


IMPORTERS: dict[str, Callable[[str | Path], RoutingTrace]] = {
    "nvmoe": import_nvmoe,
    "bigmoe": import_bigmoe,
    "npz": import_npz,
}


def _parse_nvmoe(path: str | Path, number: int, line: str) -> dict[int, list[int]]:
    """Experts by layer, of one line."""
    try:
        pairs = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _at_line(path, number, "not JSON, or cut off") from error
    token: dict[int, list[int]] = {}
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        if not _is_pair(pair):
            raise _at_line(path, number, "not an array of [layer, expert] pairs")
        layer, expert = pair
        if expert in token.setdefault(layer, []):
            raise _at_line(path, number, f"layer {layer} has expert {expert} twice")
        token[layer].append(expert)
    if not token:
        raise _at_line(path, number, "token without experts")
    return token


def _is_pair(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and [type(number) for number in pair] == [int, int]
        and min(pair) >= 0
        and pair[1] < np.iinfo(np.uint16).max
    )


def _nvmoe_sequences(ids: ExpertIds) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Offsets and prompt lengths, from where the last layer was skipped."""
    skipped = ids[:, -1, 0] == np.iinfo(ids.dtype).max
    change = np.flatnonzero(np.diff(skipped, prepend=False, append=False))
    starts, ends = change[::2], change[1::2]
    prompts = np.minimum(ends + 1, len(ids)) - starts
    if not len(starts) or starts[0] > 0:
        starts, prompts = np.r_[0, starts], np.r_[0, prompts]
    return np.r_[starts, len(ids)].astype(np.int64), prompts.astype(np.int64)


def _read_npz(path: str | Path) -> dict[str, NDArray[Any]]:
    try:
        with existing(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise FormatError("truncated or not an .npz archive of plain arrays", file=path, remedy=_NPZ_REMEDY) from error


def _narrow(ids: NDArray[Any], n_experts: int) -> ExpertIds:
    """Ids in the dtype that a trace of so many experts has, missing ones marked accordingly."""
    dtype = id_dtype(n_experts)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"ids must be integers, are {ids.dtype}")
    if n_experts > np.iinfo(ids.dtype).max:
        raise ValueError(f"{ids.dtype} ids cannot hold {n_experts} experts and a mark for missing")
    marked = ids == np.iinfo(ids.dtype).max
    if ((ids < 0) | (ids >= n_experts) & ~marked).any():
        raise ValueError(f"ids must be from 0 to {n_experts - 1}, are from {ids.min()} to {ids.max()}")
    return np.where(marked, np.iinfo(dtype).max, ids).astype(dtype)


def _at_line(path: str | Path, number: int, complaint: str) -> FormatError:
    return FormatError(complaint, file=path, field=f"line {number}", remedy=_NVMOE_REMEDY)
