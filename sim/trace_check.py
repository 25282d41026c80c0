"""What a routing trace must fulfil: its shapes at once, its content chunk by chunk, naming the first fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import FormatError

if TYPE_CHECKING:
    from sim.trace import ExpertIds, RoutingTrace

_CHUNK_TOKENS = 8192


def check_shapes(trace: RoutingTrace) -> None:
    """Compare shapes and dtypes, at no cost; raises FormatError naming the field."""
    ids, offsets, weights = trace.ids, trace.offsets, trace.weights
    if ids.ndim != 3 or ids.dtype not in (np.uint8, np.uint16) or 0 in ids.shape[1:]:
        raise FormatError(f"must be uint8 or uint16 [token, layer, k], is {ids.dtype} {ids.shape}", field="ids")
    if trace.top_k > trace.n_experts:
        raise FormatError(f"{trace.top_k} experts a token, but only {trace.n_experts} exist", field="ids")
    if trace.n_experts > trace.missing:
        raise FormatError(f"{ids.dtype} cannot hold {trace.n_experts} experts and a mark for missing", field="ids")
    if offsets.ndim != 1 or not len(offsets) or offsets[0] != 0:
        raise FormatError("must be one-dimensional and start with 0", field="offsets")
    if offsets[-1] != trace.n_tokens:
        raise FormatError(
            f"must end at the number of tokens, {trace.n_tokens}", field="offsets", value=int(offsets[-1])
        )
    if trace.prompt_tokens.shape != (trace.n_sequences,):
        raise FormatError(f"must have one value for each of {trace.n_sequences} sequences", field="prompt_tokens")
    if weights is not None and (weights.shape != ids.shape or weights.dtype != np.float32):
        raise FormatError(f"must be float32 {ids.shape}, is {weights.dtype} {weights.shape}", field="weights")
    tokens, predicted = trace.token_ids, trace.predicted
    if tokens is not None and (tokens.shape != ids.shape[:1] or tokens.dtype != np.int32):
        raise FormatError(f"must be int32 {ids.shape[:1]}, is {tokens.dtype} {tokens.shape}", field="token_ids")
    if predicted is not None and (predicted.shape != _ahead_of(ids, predicted) or predicted.dtype != ids.dtype):
        raise FormatError(f"must be {ids.dtype} [token, ahead, layer, k], is {predicted.dtype}", field="predicted")


def _ahead_of(ids: ExpertIds, predicted: ExpertIds) -> tuple[int, ...]:
    return (ids.shape[0], max(1, predicted.shape[1]) if predicted.ndim == 4 else 1, *ids.shape[1:])


def check_content(trace: RoutingTrace, file: str | Path | None) -> None:
    """Read everything; raises FormatError naming the first sequence, or token and layer, at fault."""
    lengths = np.diff(trace.offsets)
    for index in np.flatnonzero(lengths < 0)[:1]:
        raise FormatError("offsets decrease", file=file, field=f"sequence {index}", value=int(lengths[index]))
    for index in np.flatnonzero((trace.prompt_tokens < 0) | (trace.prompt_tokens > lengths))[:1]:
        raise FormatError(
            f"its prompt must have 0 to {lengths[index]} tokens, the length of the sequence",
            file=file,
            field=f"sequence {index}",
            value=int(trace.prompt_tokens[index]),
        )
    for start in range(0, trace.n_tokens, _CHUNK_TOKENS):
        rows = slice(start, start + _CHUNK_TOKENS)
        weights = None if trace.weights is None else trace.weights[rows]
        faults = list(_first_faults(trace.ids[rows], weights, trace.n_experts))
        if trace.predicted is not None:
            for early in np.moveaxis(trace.predicted[rows], 1, 0):
                faults += _predicted_faults(early, trace.n_experts)
        if faults:
            token, layer, complaint, value = min(faults, key=lambda fault: fault[:2])
            raise FormatError(complaint, file=file, field=f"token {start + token}, layer {layer}", value=value)


def _first_faults(
    ids: ExpertIds, weights: NDArray[np.float32] | None, n_experts: int
) -> Iterator[tuple[int, int, str, float]]:
    """Yield (token, layer, complaint, value) of the first fault of each kind."""
    missing = np.iinfo(ids.dtype).max
    present = ids != missing
    ordered = np.sort(ids, axis=2)
    twice = (ordered[:, :, 1:] == ordered[:, :, :-1]) & (ordered[:, :, 1:] != missing)
    yield from _first(present & (ids >= n_experts), ids, f"expert id must be below {n_experts}")
    yield from _first(twice, ordered[:, :, 1:], "the same expert twice")
    if weights is not None:
        usable = np.isfinite(weights) & (weights >= 0)
        yield from _first(present & ~usable, weights, "gate weight must be finite and not negative")


def _predicted_faults(early: ExpertIds, n_experts: int) -> Iterator[tuple[int, int, str, float]]:
    wrong = (early != np.iinfo(early.dtype).max) & (early >= n_experts)
    yield from _first(wrong, early, f"predicted expert id must be below {n_experts}")


def _first(at: NDArray[np.bool_], values: NDArray[Any], complaint: str) -> Iterator[tuple[int, int, str, float]]:
    if at.any():
        token, layer, place = np.unravel_index(int(at.argmax()), at.shape)
        yield int(token), int(layer), complaint, values[token, layer, place].item()
