"""Synthetic routing traces with the statistics of real ones: popular experts, slow context, layers that agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.synth.router import Router
from sim.synth.style import Style
from sim.trace import RoutingTrace, id_dtype

_CHUNK_TOKENS = 4096  # part of the recipe: other chunks draw other traces
_MOST_EXPERTS = 2**14


def synthesize(
    n_layers: int,
    n_experts: int,
    top_k: int,
    sequences: Sequence[tuple[int, int]],
    *,
    seed: int,
    style: Style | None = None,
) -> RoutingTrace:
    """Draw a trace with gate weights for sequences of (prompt, output) tokens; equal arguments give equal traces.

    The `top_k` highest logits of a token and layer are its experts, best first; their softmax is the weights.
    Raises InputError for sizes that make no sense.
    """
    _check(n_layers, n_experts, top_k, sequences)
    style = style or Style()
    lengths = np.array([prompt + output for prompt, output in sequences], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.empty((int(offsets[-1]), n_layers, top_k), dtype=id_dtype(n_experts))
    weights = np.empty(ids.shape, dtype=np.float32)
    router = Router(np.random.default_rng(seed), n_layers, n_experts, style)
    for start in range(0, len(ids), _CHUNK_TOKENS):
        rows = slice(start, start + _CHUNK_TOKENS)
        position = _positions(offsets, start, min(start + _CHUNK_TOKENS, len(ids)))
        for layer, (chosen, logits) in enumerate(router.route(position, top_k)):
            ids[rows, layer] = chosen.T
            weights[rows, layer] = _softmax(logits).T
    prompts = np.array([prompt for prompt, _ in sequences], dtype=np.int64)
    provenance = {"synthetic": {"seed": seed, "style": asdict(style)}}
    return RoutingTrace(ids, offsets, prompts, n_experts, weights, provenance)


def _check(n_layers: int, n_experts: int, top_k: int, sequences: Sequence[tuple[int, int]]) -> None:
    if n_layers < 1:
        raise InputError("must be at least 1", field="n_layers", value=n_layers)
    if n_experts > _MOST_EXPERTS:
        raise InputError(f"must be at most {_MOST_EXPERTS}", field="n_experts", value=n_experts)
    if not 1 <= top_k <= n_experts:
        raise InputError(f"must be from 1 to the number of experts, {n_experts}", field="top_k", value=top_k)
    for index, lengths in enumerate(sequences):
        if min(lengths) < 0:
            raise InputError("tokens must not be negative", field=f"sequence {index}", value=lengths)


def _positions(offsets: NDArray[np.int64], start: int, end: int) -> NDArray[np.int64]:
    """Where tokens `start` to `end` stand in their sequences."""
    tokens = np.arange(start, end)
    return tokens - offsets[np.searchsorted(offsets, tokens, side="right") - 1]


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shares [k, token] of logits whose first row is the highest."""
    shares: NDArray[np.float32] = np.exp(logits - logits[0])
    shares /= shares.sum(axis=0)
    return shares
