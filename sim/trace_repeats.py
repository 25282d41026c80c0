"""Statistics of a trace that compare tokens or layers with each other, counted chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sim.trace import RoutingTrace

LAGS = {"reuse": 1, "overlap_8": 8, "overlap_32": 32}
_CHUNK_TOKENS = 8192
_RUN_TOKENS = 32
_SMOOTHING = 0.1  # counts added to each pair of experts, so that unseen pairs stay possible

PerLayer = NDArray[np.float64]
Chosen = NDArray[np.bool_]


def repeats(trace: RoutingTrace, counts: NDArray[np.int64]) -> dict[str, PerLayer]:
    """Shares [layer] of a token's experts that later tokens use again, and what independent draws would give.

    `counts` [layer, expert] are the trace's popularity.
    """
    used = np.zeros(trace.n_layers)
    again = {name: np.zeros((2, trace.n_layers)) for name in LAGS}
    for rows, n in _chunks(trace, look_ahead=max(LAGS.values())):
        sequence = np.searchsorted(trace.offsets, np.arange(rows.start, rows.start + n[1]), side="right")
        for layer in range(trace.n_layers):
            chosen = _chosen(trace, rows, layer)
            used[layer] += np.count_nonzero(chosen[: n[0]].any(axis=1))
            for name, lag in LAGS.items():
                again[name][:, layer] += _overlap(chosen, sequence, lag, n[0])
    rate = counts / np.maximum(used, 1)[:, None]
    columns = {name: _ratios(*sums) for name, sums in again.items()}
    return columns | {"reuse_by_popularity": _ratios((rate**2).sum(axis=1), rate.sum(axis=1))}


def following(trace: RoutingTrace) -> dict[str, PerLayer]:
    """What `next_layer_recall` finds from each layer of the next one: [layer], NaN for the last."""
    columns = {name: np.full(trace.n_layers, np.nan) for name in ("next_recall", "next_recall_by_popularity")}
    pairs = [NextLayer(trace.n_experts, trace.top_k) for _ in range(trace.n_layers - 1)]
    for step in (NextLayer.learn, NextLayer.judge):
        for rows, _ in _chunks(trace):
            later = _chosen(trace, rows, 0)
            for layer, pair in enumerate(pairs):
                now, later = later, _chosen(trace, rows, layer + 1)
                step(pair, now, later)
    for layer, pair in enumerate(pairs):
        columns["next_recall"][layer], columns["next_recall_by_popularity"][layer] = pair.recalls()
    return columns


def next_layer_recall(now: Chosen, following: Chosen, top_k: int) -> tuple[float, float]:
    """Share of the next layer's experts that a naive Bayes guess finds, given this layer's and given nothing.

    Both arrays are [token, expert]; the `top_k` likeliest experts are the guess, without this layer the most popular.
    Even runs of 32 tokens are learned from and odd ones judged. NaN with too few tokens.
    """
    pair = NextLayer(now.shape[1], top_k)
    pair.learn(now, following)
    pair.judge(now, following)
    return pair.recalls()


class NextLayer:
    """Two layers in two passes over the tokens, of chunks [token, expert] each: all are learned from, then judged."""

    def __init__(self, n_experts: int, top_k: int) -> None:
        self._top_k = top_k
        self._together = np.full((n_experts, n_experts), _SMOOTHING)
        self._popularity = np.zeros(n_experts)
        self._seen = {"learn": 0, "judge": 0}
        self._found, self._total = np.zeros(2), 0.0

    def learn(self, now: Chosen, following: Chosen) -> None:
        """Count the pairs of the even runs."""
        now, following = self._runs("learn", now, following, odd=False)
        self._popularity += following.sum(axis=0)
        self._together += now.astype(np.float32).T @ following.astype(np.float32)

    def judge(self, now: Chosen, following: Chosen) -> None:
        """Count what is found in the odd runs."""
        now, truth = self._runs("judge", now, following, odd=True)
        likelihood = now.astype(np.float64) @ np.log(self._together / self._together.sum(axis=0))
        likelihood += np.log(self._popularity + _SMOOTHING)
        by_bayes = np.take_along_axis(truth, _best(likelihood, self._top_k), axis=1)
        by_popularity = truth[:, _best(self._popularity[None], self._top_k)[0]]
        self._found += [by_bayes.sum(), by_popularity.sum()]
        self._total += truth.sum()

    def recalls(self) -> tuple[float, float]:
        """Shares found by Bayes and by popularity."""
        by_bayes, by_popularity = (self._found / self._total).tolist() if self._total else (math.nan, math.nan)
        return by_bayes, by_popularity

    def _runs(self, step: str, now: Chosen, following: Chosen, *, odd: bool) -> tuple[Chosen, Chosen]:
        """The tokens of the odd or the even runs that were routed in both layers."""
        both = np.flatnonzero(now.any(axis=1) & following.any(axis=1))
        first = self._seen[step]
        self._seen[step] += len(both)
        kept = both[(first + np.arange(len(both))) // _RUN_TOKENS % 2 == odd]
        return now[kept], following[kept]


def _best(score: NDArray[np.float64], top_k: int) -> NDArray[np.intp]:
    return np.argsort(-score, axis=1, kind="stable")[:, :top_k]


def _chunks(trace: RoutingTrace, look_ahead: int = 0) -> Iterator[tuple[slice, tuple[int, int]]]:
    """Yield rows, the next tokens and some beyond, and how many there are without and with those."""
    for start in range(0, trace.n_tokens, _CHUNK_TOKENS):
        end = min(start + _CHUNK_TOKENS, trace.n_tokens)
        beyond = min(end + look_ahead, trace.n_tokens)
        yield slice(start, beyond), (end - start, beyond - start)


def _chosen(trace: RoutingTrace, rows: slice, layer: int) -> Chosen:
    """Whether each token uses each expert of a layer: [token, expert]."""
    ids = trace.ids[rows, layer]
    chosen = np.zeros((len(ids), trace.n_experts), dtype=bool)
    token, place = np.nonzero(ids != trace.missing)
    chosen[token, ids[token, place]] = True
    return chosen


def _overlap(chosen: Chosen, sequence: NDArray[np.int64], lag: int, n: int) -> tuple[int, int]:
    """Experts of the first n tokens that the token `lag` later in its sequence uses too, and all of theirs."""
    n = max(0, min(n, len(chosen) - lag))
    earlier, later = chosen[:n], chosen[lag : lag + n]
    paired = (sequence[:n] == sequence[lag : lag + n]) & later.any(axis=1)
    return int((earlier & later)[paired].sum()), int(earlier[paired].sum())


def _ratios(part: NDArray[np.float64], whole: NDArray[np.float64]) -> PerLayer:
    shares: PerLayer = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return shares
