"""A trace as plain arrays of cache accesses, batch by batch, ready to be replayed many times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.trace import RoutingTrace
from sim.workload import steps

_CHUNK_TOKENS = 8192
_MOST_BATCHES = 2**31 - 2
"""Positions of batches are counted in 32 bits."""

Key = tuple[int, int]


@dataclass(frozen=True, eq=False, slots=True)
class Accesses:
    """What a cache is asked for: `keys` [access], of which batch i needs `keys[starts[i]:starts[i + 1]]` at once.

    A key is layer × n_experts + expert; a batch (one layer in one forward pass) has each of its keys once, at its last
    place. `weights` [access] are the gate's, summed over the batch's tokens, or None. `first_layer` is what the
    keys' layers count from.
    """

    keys: NDArray[np.int32]
    starts: NDArray[np.int64]
    n_layers: int
    n_experts: int
    weights: NDArray[np.float32] | None = None
    first_layer: int = 0

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def n_keys(self) -> int:
        """How many keys there can be."""
        return self.n_layers * self.n_experts

    @property
    def n_batches(self) -> int:
        """How many batches there are, empty ones included."""
        return len(self.starts) - 1

    def counts(self) -> NDArray[np.int64]:
        """How many batches need each key: [key]."""
        return np.bincount(self.keys, minlength=self.n_keys)

    def batches(self) -> Iterator[list[Key]]:
        """The batches as lists of (layer, expert)."""
        names = [(self.first_layer + key // self.n_experts, key % self.n_experts) for key in range(self.n_keys)]
        keys, starts = self.keys.tolist(), self.starts.tolist()
        for start, end in pairwise(starts):
            yield [names[key] for key in keys[start:end]]

    def batch_weights(self) -> Iterator[list[float]] | None:
        """The weights, batch by batch."""
        if self.weights is None:
            return None
        weights, starts = self.weights.tolist(), self.starts.tolist()
        return (weights[start:end] for start, end in pairwise(starts))


def trace_accesses(trace: RoutingTrace, batch: int = 1, layer: int | None = None) -> Accesses:
    """The accesses of a trace run `batch` sequences at a time, as `sim.workload.accesses` orders them.

    Of all layers, or of one. Takes 4 bytes an access, 8 with gate weights. Raises InputError for a batch below 1, and
    for more forward passes than can be counted.
    """
    n_layers = trace.n_layers if layer is None else 1
    rows, first = _passes(trace, batch)
    if (len(first) - 1) * n_layers > _MOST_BATCHES:
        raise InputError("too long to be replayed at once", field="tokens", value=trace.n_tokens, remedy="cut it up")
    columns = slice(None) if layer is None else slice(layer, layer + 1)
    parts = [
        _part(trace, rows[first[begin] : first[end]], first[begin : end + 1] - first[begin], columns)
        for begin, end in _chunks(first)
    ]
    lengths = np.concatenate([np.zeros(1, np.int64), *(part.lengths for part in parts)])
    weights = [part.weights for part in parts if part.weights is not None]
    return Accesses(
        keys=np.concatenate([np.zeros(0, np.int32), *(part.keys for part in parts)]),
        starts=np.cumsum(lengths),
        n_layers=n_layers,
        n_experts=trace.n_experts,
        weights=None if trace.weights is None else np.concatenate([np.zeros(0, np.float32), *weights]),
        first_layer=layer or 0,
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    keys: NDArray[np.int32]
    lengths: NDArray[np.int64]  # [batch]
    weights: NDArray[np.float32] | None


def _passes(trace: RoutingTrace, batch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the trace in the order of the forward passes, and where each pass begins among them, with the end."""
    if batch == 1:
        begins = ~trace.is_prompt()
        begins[trace.offsets[:-1][np.diff(trace.offsets) > 0]] = True
        return np.arange(trace.n_tokens), np.append(np.flatnonzero(begins), trace.n_tokens)
    rows = [step.token_rows for step in steps(trace, batch)]
    first = np.cumsum([0, *(len(tokens) for tokens in rows)])
    return np.concatenate([np.zeros(0, np.int64), *rows]), first


def _chunks(first: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of passes of some thousand tokens each, or of one long pass."""
    begin = 0
    while begin < len(first) - 1:
        end = max(begin + 1, int(np.searchsorted(first, first[begin] + _CHUNK_TOKENS, side="right")) - 1)
        yield begin, end
        begin = end


def _part(trace: RoutingTrace, rows: NDArray[np.int64], first: NDArray[np.int64], columns: slice) -> _Part:
    """The accesses of some passes: pass by pass, layer by layer, token by token, each key at its last place."""
    ids = trace.ids[rows, columns]
    _, n_layers, top_k = ids.shape
    sizes = np.diff(first)
    keys = ids.astype(np.int32)
    keys += (np.arange(n_layers, dtype=np.int32) * trace.n_experts)[:, None]
    keys[ids == trace.missing] = -1
    keys = keys.reshape(-1)
    batch_of = np.repeat(np.arange(len(sizes) * n_layers), np.repeat(sizes, n_layers) * top_k)
    order = None if sizes.max(initial=0) <= 1 else _layer_by_layer(first, n_layers, top_k)
    if order is not None:
        keys = keys[order]
    weights = None
    if trace.weights is not None:
        weights = np.ascontiguousarray(trace.weights[rows, columns], np.float32).reshape(-1)
        weights = weights if order is None else weights[order]
    kept = keys >= 0
    if not kept.all():
        keys, batch_of, weights = keys[kept], batch_of[kept], None if weights is None else weights[kept]
    if order is not None:
        keys, batch_of, weights = _once_a_batch(keys, batch_of, weights)
    return _Part(keys, np.bincount(batch_of, minlength=len(sizes) * n_layers), weights)


def _layer_by_layer(first: NDArray[np.int64], n_layers: int, top_k: int) -> NDArray[np.int64]:
    """Where each access is taken from in [token, layer, k], to be, within each pass, in order of [layer, token, k]."""
    sizes = np.diff(first)
    begin = np.repeat(first[:-1], sizes)[:, None]  # of each token's pass
    rank = np.arange(first[-1])[:, None] - begin
    line = begin * n_layers + np.arange(n_layers) * np.repeat(sizes, sizes)[:, None] + rank  # [token, layer]
    source = np.empty(line.size, np.int64)
    source[line.ravel()] = np.arange(line.size)
    return (source[:, None] * top_k + np.arange(top_k)).ravel()


def _once_a_batch(
    keys: NDArray[np.int32], batch_of: NDArray[np.int64], weights: NDArray[np.float32] | None
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float32] | None]:
    """Each key of a batch at its last place only, with the weights of all its places."""
    named = batch_of * (int(keys.max(initial=0)) + 1) + keys
    order = np.argsort(named, kind="stable")
    ends = np.flatnonzero(np.diff(named[order], append=-1))
    last = np.sort(order[ends])
    if weights is not None:
        sums = np.zeros(len(keys), np.float32)
        begins = np.concatenate([[0], ends[:-1] + 1]).astype(np.intp)
        sums[order[ends]] = np.add.reduceat(weights[order], begins) if len(ends) else 0
        weights = sums[last]
    return keys[last], batch_of[last], weights
