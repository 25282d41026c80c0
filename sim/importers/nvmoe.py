"""nvmoe token lines as a routing trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import FormatError
from sim.inputs import read_text
from sim.trace import ExpertIds, RoutingTrace, id_dtype

_REMEDY = "give token lines as nvmoe's trace_post.py writes them: [[layer, expert], …]"


def import_nvmoe(path: str | Path) -> RoutingTrace:
    """Read nvmoe token lines (github.com/BrianBoitano/nvmoe, docs/TRACE_COLLECTION.md): one JSON array a token.

    Each line lists [layer, expert] pairs. llama.cpp skips the last layer of all prompt tokens but one: a run of such
    lines and the line after it are a prompt and start a sequence. The file does not say how many experts there are:
    n_experts is the highest id + 1. Raises FormatError naming the line.
    """
    lines = read_text(path, _REMEDY).splitlines()
    tokens = [_parse(path, number, line) for number, line in enumerate(lines, 1)]
    if not tokens:
        raise FormatError("no token lines", file=path, remedy=_REMEDY)
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
    offsets, prompt_tokens = _sequences(ids)
    provenance = {
        "format": "nvmoe token lines",
        "file": Path(path).name,
        "layers": layers,
        "n_experts": "highest id + 1",
    }
    trace = RoutingTrace(ids, offsets, prompt_tokens, n_experts, provenance=provenance)
    trace.validate(path)
    return trace


def _parse(path: str | Path, number: int, line: str) -> dict[int, list[int]]:
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


def _sequences(ids: ExpertIds) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Offsets and prompt lengths, from where the last layer was skipped."""
    skipped = ids[:, -1, 0] == np.iinfo(ids.dtype).max
    change = np.flatnonzero(np.diff(skipped, prepend=False, append=False))
    starts, ends = change[::2], change[1::2]
    prompts = np.minimum(ends + 1, len(ids)) - starts
    if not len(starts) or starts[0] > 0:
        starts, prompts = np.r_[0, starts], np.r_[0, prompts]
    return np.r_[starts, len(ids)].astype(np.int64), prompts.astype(np.int64)


def _at_line(path: str | Path, number: int, complaint: str) -> FormatError:
    return FormatError(complaint, file=path, field=f"line {number}", remedy=_REMEDY)
