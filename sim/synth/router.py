"""The router of a synthetic model: logits from hidden states, and the experts with the highest ones."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from sim.synth.states import Floats, Positions, Tasks, Wander
from sim.synth.style import Style

_NOISE_VALUES = 2**18
_WINDOW = 128
_STATE_STEPS = 32  # to a standard deviation
_STATE_LIMIT = 6 * _STATE_STEPS
_FEW_TOKENS = 512
_BLOCK_PRODUCTS = 2**17

Keys = NDArray[np.int32]


class Router:
    """Routes tokens of one synthetic model, chunk after chunk in order, drawing from `rng`.

    States, gates and noise are whole multiples of small powers of two, so that float32 sums of their products are
    exact: whatever the number of threads or the order of summation, equal draws give equal experts. The experts' ids
    stand in the lowest bits of the logits, which leaves no ties.
    """

    def __init__(self, rng: np.random.Generator, n_layers: int, n_experts: int, style: Style) -> None:
        self._rng = rng
        self._id_bits = (n_experts - 1).bit_length()
        width = style.directions
        self._context = Wander(width if style.context else 0, style.context_persistence)
        self._token = Wander(2 * width if style.token else 0, style.token_persistence)
        self._own_width = width if style.layer else 0
        self._own = Wander(n_layers * self._own_width, style.layer_persistence)
        self._tasks = Tasks(style.tasks, style.task_tokens)
        self._n_tasks = style.tasks
        gates = _gates(rng, n_layers, n_experts, style)
        noise = np.float32(style.noise) * rng.standard_normal(_NOISE_VALUES, dtype=np.float32)
        highest = np.abs(gates).sum(axis=2).max() * _STATE_LIMIT / _STATE_STEPS + np.abs(noise).max()
        # half of what int32 keys and float32 sums can hold, as rounding may add a little
        self._unit = float(2.0 ** np.ceil(np.log2(highest / 2.0 ** (min(24, 31 - self._id_bits) - 1))))
        step = 2.0**self._id_bits
        self._gates = np.rint(gates / (self._unit * _STATE_STEPS)) * np.float32(step)
        self._noise = np.lib.stride_tricks.sliding_window_view(np.rint(noise / self._unit) * np.float32(step), _WINDOW)

    def route(self, position: Positions, top_k: int) -> Iterator[tuple[Keys, Floats]]:
        """Yield, layer by layer, ids [k, token], best first, and logits [k, token] of the next tokens."""
        shared = self._shared_state(position)
        own = _whole(self._own.chunk(self._rng, position))
        own = own.reshape(len(self._gates), self._own_width, len(position))
        experts = np.arange(self._gates.shape[1], dtype=np.int32)[:, None]
        for gates, of_layer in zip(self._gates, own, strict=True):
            logits = _product(gates, np.concatenate([shared, of_layer]))
            self._add_noise(logits)
            keys = logits.astype(np.int32)
            keys |= experts
            best = top_keys(keys, top_k)
            yield best & ((1 << self._id_bits) - 1), (best >> self._id_bits).astype(np.float32) * np.float32(self._unit)

    def _shared_state(self, position: Positions) -> Floats:
        """What all layers see: a constant, the task, context and token, in steps: [state, token]."""
        task = np.arange(self._n_tasks)[:, None] == self._tasks.chunk(self._rng, position)
        constant = np.concatenate([np.ones((1, len(position)), bool), task]) * np.float32(_STATE_STEPS)
        context, token = self._context.chunk(self._rng, position), self._token.chunk(self._rng, position)
        return np.concatenate([constant, _whole(context), _whole(token)])

    def _add_noise(self, logits: Floats) -> None:
        """Add windows of a long row of normal numbers, each from a place of its own: ten times as fast as drawing."""
        whole = logits.size // _WINDOW * _WINDOW
        offsets = self._rng.integers(0, len(self._noise), -(-logits.size // _WINDOW), dtype=np.uint32)
        flat = logits.reshape(-1)
        windows = flat[:whole].reshape(-1, _WINDOW)
        windows += self._noise[offsets[: len(windows)]]
        if whole < len(flat):
            flat[whole:] += self._noise[offsets[-1], : len(flat) - whole]


def top_keys(keys: Keys, top_k: int) -> Keys:
    """The highest of different keys [expert, token], in descending order: [k, token]."""
    if keys.shape[1] < _FEW_TOKENS:
        return np.sort(keys, axis=0)[: -top_k - 1 : -1]
    best = np.full((top_k, keys.shape[1]), np.iinfo(np.int32).min, np.int32)
    lower, spare = np.empty((2, keys.shape[1]), np.int32)
    for count, row in enumerate(keys, 1):
        passed = row
        for rank in range(min(count, top_k)):
            np.minimum(best[rank], passed, out=lower)
            np.maximum(best[rank], passed, out=best[rank])
            passed, lower, spare = lower, spare, lower
    return best


def _product(gates: Floats, state: Floats) -> Floats:
    """Matrix product [expert, token], in blocks so small that libraries do not start threads, which wait in vain."""
    result = np.empty((len(gates), state.shape[1]), np.float32)
    block = max(1, _BLOCK_PRODUCTS // gates.size)
    for start in range(0, state.shape[1], block):
        tokens = slice(start, start + block)
        np.matmul(gates, state[:, tokens], out=result[:, tokens])
    return result


def _whole(state: Floats) -> Floats:
    """States as whole numbers of steps."""
    steps: Floats = np.clip(np.rint(state * np.float32(_STATE_STEPS)), -_STATE_LIMIT, _STATE_LIMIT)
    return steps


def _gates(rng: np.random.Generator, n_layers: int, n_experts: int, style: Style) -> Floats:
    """What each logit takes from the state [constant, tasks, context, token, token, own]: [layer, expert, state].

    A layer sees the token's two halves turned by its angle, so that near layers see nearly the same. All experts take
    as much, in directions of their own: popularity alone makes an expert popular.
    """

    def directions(strength: float) -> Floats:
        width = style.directions if strength else 0
        drawn = rng.standard_normal((n_layers, n_experts, width), dtype=np.float32)
        lengthened: Floats = np.float32(strength) * drawn / np.linalg.norm(drawn, axis=2, keepdims=True)
        return lengthened

    angles = np.linspace(0, np.pi / 2 * style.layer_drift, n_layers, dtype=np.float32)[:, None, None]
    parts = [
        _popularity(rng, n_layers, n_experts, style)[:, :, None],
        _task_biases(rng, n_layers, n_experts, style),
        directions(style.context),
        (token := directions(style.token)) * np.cos(angles),
        token * np.sin(angles),
        directions(style.layer),
    ]
    return np.concatenate(parts, axis=2).astype(np.float32)


def _task_biases(rng: np.random.Generator, n_layers: int, n_experts: int, style: Style) -> Floats:
    """What tasks add to logits: [layer, expert, task]; over tasks of equal strength, an expert's mean is 0."""
    drawn = rng.standard_normal((n_layers, n_experts, style.tasks), dtype=np.float32)
    if style.tasks > 1:
        drawn -= drawn.mean(axis=2, keepdims=True)
        drawn /= np.sqrt((drawn**2).mean(axis=2, keepdims=True))
    return drawn * (style.task * np.exp(style.task_spread * _quantiles(style.tasks)[::-1])).astype(np.float32)


def _popularity(rng: np.random.Generator, n_layers: int, n_experts: int, style: Style) -> Floats:
    """Popularity logits [layer, expert]: the same quantiles in each layer, so that few layers tell as much as many."""
    shape = _quantiles(n_experts)
    shape = shape + style.popularity_skew * (shape**2 - 1)
    shape /= shape.std() or 1.0
    strength = style.popularity * np.exp(style.popularity_spread * rng.permutation(_quantiles(n_layers)))
    return np.stack([each * rng.permutation(shape) for each in strength]).astype(np.float32)


def _quantiles(count: int) -> NDArray[np.float64]:
    """A standard normal sample without chance, of variance 1."""
    values = np.array([NormalDist().inv_cdf((index + 0.5) / count) for index in range(count)])
    return values / values.std() if count > 1 else values
