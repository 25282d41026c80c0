"""Synthetic routing traces with the statistics of real ones: popular experts, slow context, layers that agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.trace import ExpertIds, RoutingTrace, id_dtype

_LATENT = 4  # few directions, so that one layer's experts tell much about the next one's, as in real models
_BLOCK_LOGITS = 2**20
_NEGLIGIBLE = 1e-4

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Style:
    """How experts are chosen: standard deviations of what adds up to a router logit, and how slowly each part changes.

    `popularity` is a constant of each expert. `context` follows a latent state of the sequence, `token` one of the
    token; `context_persistence` and `token_persistence` are the correlation of these with the token before (0 to 1),
    and both start afresh with a sequence. `layer_drift` is how far a token's state turns from the first layer to the
    last (0: not at all, 1: until unrelated). `noise` is new in every token, layer and expert. Scaling all four
    strengths alike sharpens or flattens gate weights and changes nothing else.

    The defaults resemble Mixtral-8x7B, see MIXTRAL_LIKE. Raises InputError for a value out of range.
    """

    popularity: float = 0.2
    context: float = 0.4
    token: float = 1.1
    noise: float = 1.0
    context_persistence: float = 0.95
    token_persistence: float = 0.45
    layer_drift: float = 0.1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            highest = 100 if name in ("popularity", "context", "token", "noise") else 1
            if not 0 <= value <= highest:
                raise InputError(f"must be from 0 to {highest}", field=f"style.{name}", value=value)


MIXTRAL_LIKE = Style()
"""Flat popularity, short memory: of 8 experts, 2 used, 37 % serve the next token again, LRU of half hits 62 %.

Fitted to statistics of Mixtral-8x7B decode: entropy .988, reuse .375, next-layer recall .418, LRU of half .616.
"""

GENERIC = Style(popularity=0.2, context=0.63, token=0.97, noise=0.333, context_persistence=0.99, token_persistence=0.4)
"""Many small experts, long memory: of 64 experts, 8 used, 41 % serve the next token again, LRU of half hits 85 %.

Fitted to decode traces of OLMoE-1B-7B (github.com/BrianBoitano/nvmoe); the scale gives gate weights as steep as those
recorded of DeepSeek-V2-Lite (github.com/deepseek-ai/ESFT) and Qwen3-30B-A3B (github.com/Helldez/BigMoeOnEdge).
"""


def synthesize(
    n_layers: int,
    n_experts: int,
    top_k: int,
    sequences: Sequence[tuple[int, int]],
    *,
    seed: int,
    style: Style = MIXTRAL_LIKE,
) -> RoutingTrace:
    """Draw a trace with gate weights for sequences of (prompt, output) tokens; equal arguments give equal traces.

    The `top_k` highest logits of a token and layer are its experts, best first; their softmax is the weights.
    Raises InputError for sizes that make no sense.
    """
    _check(n_layers, n_experts, top_k, sequences)
    rng = np.random.default_rng(seed)
    prompts = np.array([prompt for prompt, _ in sequences], dtype=np.int64)
    offsets = np.cumsum([0, *(prompt + output for prompt, output in sequences)]).astype(np.int64)
    ids = np.empty((int(offsets[-1]), n_layers, top_k), dtype=id_dtype(n_experts))
    weights = np.empty(ids.shape, dtype=np.float32)
    popularity = rng.standard_normal((n_layers, n_experts), dtype=np.float32) * np.float32(style.popularity)
    gates = _gates(rng, n_layers, n_experts, style)
    context = _wander(rng, offsets, style.context_persistence, _LATENT)
    token = _wander(rng, offsets, style.token_persistence, 2 * _LATENT)
    state = np.concatenate([context, token], axis=1)
    block = max(1, _BLOCK_LOGITS // popularity.size)
    for start in range(0, len(ids), block):
        rows = slice(start, start + block)
        # einsum, unlike matmul, gives the same bits whatever the number of threads
        logits = np.einsum("ts,sle->tle", state[rows], gates)
        logits += popularity
        logits += np.float32(style.noise) * rng.standard_normal(logits.shape, dtype=np.float32)
        _route(logits.reshape(-1, n_experts), ids[rows].reshape(-1, top_k), weights[rows].reshape(-1, top_k))
    provenance = {"synthetic": {"seed": seed, "style": asdict(style)}}
    return RoutingTrace(ids, offsets, prompts, n_experts, weights, provenance)


def _check(n_layers: int, n_experts: int, top_k: int, sequences: Sequence[tuple[int, int]]) -> None:
    if n_layers < 1:
        raise InputError("must be at least 1", field="n_layers", value=n_layers)
    if not 1 <= top_k <= n_experts:
        raise InputError(f"must be from 1 to the number of experts, {n_experts}", field="top_k", value=top_k)
    for index, lengths in enumerate(sequences):
        if min(lengths) < 0:
            raise InputError("tokens must not be negative", field=f"sequence {index}", value=lengths)


def _gates(rng: np.random.Generator, n_layers: int, n_experts: int, style: Style) -> Floats:
    """What each logit takes from a state [context, token, token]: [state, layer, expert].

    A layer sees the token's two halves turned by its angle, so that near layers see nearly the same.
    """
    angles = np.linspace(0, np.pi / 2 * style.layer_drift, n_layers)
    strengths = np.stack([np.full(n_layers, style.context), style.token * np.cos(angles), style.token * np.sin(angles)])
    gates = rng.standard_normal((2, _LATENT, n_layers, n_experts))[[0, 1, 1]] / np.sqrt(_LATENT)
    scaled: Floats = (gates * strengths[:, None, :, None]).reshape(-1, n_layers, n_experts).astype(np.float32)
    return scaled


def _wander(rng: np.random.Generator, offsets: NDArray[np.int64], persistence: float, width: int) -> Floats:
    """Standard normal states [token, width], correlated with the token before by `persistence`: an AR(1) process.

    Summed by doubling: after a pass, each state has gathered the innovations of twice as many tokens.
    """
    n_tokens = int(offsets[-1])
    position = np.arange(n_tokens) - np.repeat(offsets[:-1], np.diff(offsets))
    state = rng.standard_normal((n_tokens, width), dtype=np.float32)
    state[position > 0] *= np.float32(np.sqrt(1 - persistence**2))
    reach = 1
    while reach < n_tokens and persistence**reach > _NEGLIGIBLE:
        carried = state[:-reach] * np.float32(persistence**reach)
        carried[position[reach:] < reach] = 0
        state[reach:] += carried
        reach *= 2
    return state


def _route(logits: Floats, ids: ExpertIds, weights: Floats) -> None:
    """Fill ids and weights [token, k] from logits [token, expert], which are used up."""
    rows = np.arange(len(logits))
    for rank in range(ids.shape[1]):
        best = logits.argmax(axis=1)
        ids[:, rank], weights[:, rank] = best, logits[rows, best]
        logits[rows, best] = -np.inf
    np.exp(weights - weights[:, :1], out=weights)
    weights /= weights.sum(axis=1, keepdims=True)
