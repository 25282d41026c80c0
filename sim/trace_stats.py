"""What a routing trace is like: how popular, how repetitive and how predictable its experts are, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.replay import Replayer
from sim.replay_accesses import trace_accesses
from sim.trace import RoutingTrace

POLICIES = ("lru", "lfu")
CACHE_PERCENTS = (25, 50, 75)
_RUN_TOKENS = 32
_SMOOTHING = 0.1  # counts added to each pair of experts, so that unseen pairs stay possible

PerLayer = NDArray[np.float64]
Chosen = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class TraceStats:
    """Statistics [layer] of a trace; NaN where a layer or trace is too short for one.

    `entropy` is that of expert popularity over log(experts); `top_share` the share of selections that the most popular
    tenth of experts (rounded up) takes. `reuse`, `overlap_8` and `overlap_32` are the share of a token's experts that
    the token 1, 8 and 32 later uses again, `reuse_by_popularity` what independent draws would give.
    `next_recall` is the share of the next layer's experts found by `next_layer_recall` from this layer's, and
    `next_recall_by_popularity` from none; they are NaN for the last layer. `lru_*` and `lfu_*` are hit rates of a
    cache of that percentage of the layer's experts, which starts empty and outlives sequences; a token's experts
    enter together, in order of id.
    """

    entropy: PerLayer
    top_share: PerLayer
    reuse: PerLayer
    reuse_by_popularity: PerLayer
    overlap_8: PerLayer
    overlap_32: PerLayer
    next_recall: PerLayer
    next_recall_by_popularity: PerLayer
    lru_25: PerLayer
    lru_50: PerLayer
    lru_75: PerLayer
    lfu_25: PerLayer
    lfu_50: PerLayer
    lfu_75: PerLayer

    def means(self) -> dict[str, float]:
        """Mean of each statistic over the layers that have it; NaN if none has."""
        return {name: _mean(values) for name, values in self._columns().items()}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: means and per-layer lists, None for what is not defined."""
        return {
            "mean": {name: _or_none(value) for name, value in self.means().items()},
            "per_layer": {name: [_or_none(v) for v in values.tolist()] for name, values in self._columns().items()},
        }

    def _columns(self) -> dict[str, PerLayer]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def stats(trace: RoutingTrace) -> TraceStats:
    """Measure a trace, all tokens alike (take `trace.decode_only()` for decode); works on one layer at a time."""
    counts = trace.popularity()
    sequence = np.repeat(np.arange(trace.n_sequences), np.diff(trace.offsets))
    columns = {"entropy": entropy(counts), "top_share": top_share(counts)}
    columns |= _hit_rates(trace)
    per_layer = ["reuse", "reuse_by_popularity", "overlap_8", "overlap_32", "next_recall", "next_recall_by_popularity"]
    columns |= {name: np.full(trace.n_layers, np.nan) for name in per_layer}
    following = _chosen(trace, 0)
    for layer in range(trace.n_layers):
        chosen = following
        columns["reuse_by_popularity"][layer] = _reuse_by_popularity(chosen)
        for name, lag in {"reuse": 1, "overlap_8": 8, "overlap_32": 32}.items():
            columns[name][layer] = _overlap(chosen, sequence, lag)
        if layer + 1 < trace.n_layers:
            following = _chosen(trace, layer + 1)
            recall = next_layer_recall(chosen, following, trace.top_k)
            columns["next_recall"][layer], columns["next_recall_by_popularity"][layer] = recall
    return TraceStats(**columns)


def _hit_rates(trace: RoutingTrace) -> dict[str, PerLayer]:
    """Hit rates [layer] of all policies and capacities, every token a batch of its own."""
    tokens = RoutingTrace(
        np.sort(trace.ids, axis=2), trace.offsets, np.zeros_like(trace.prompt_tokens), trace.n_experts
    )
    rates = {
        f"{policy}_{percent}": np.full(trace.n_layers, np.nan) for policy in POLICIES for percent in CACHE_PERCENTS
    }
    for layer in range(trace.n_layers):
        replayer = Replayer(trace_accesses(tokens, layer=layer))
        for policy in POLICIES:
            for percent in CACHE_PERCENTS:
                capacity = max(1, round(trace.n_experts * percent / 100))
                rates[f"{policy}_{percent}"][layer] = replayer.run(policy, capacity).hit_rate
    return rates


def entropy(counts: NDArray[np.int64]) -> PerLayer:
    """Entropy of expert popularity, from counts [layer, expert], over its maximum; NaN for layers without counts."""
    share = _share(counts)
    log_share = np.log(share, where=share > 0, out=np.zeros_like(share))
    relative: PerLayer = -(share * log_share).sum(axis=1) / math.log(max(counts.shape[1], 2))
    return relative


def top_share(counts: NDArray[np.int64], portion: float = 0.1) -> PerLayer:
    """Share of selections that the most popular portion of experts, rounded up, takes of counts [layer, expert]."""
    top = math.ceil(portion * counts.shape[1])
    share: PerLayer = np.sort(_share(counts), axis=1)[:, -top:].sum(axis=1)
    return share


def next_layer_recall(now: Chosen, following: Chosen, top_k: int) -> tuple[float, float]:
    """Share of the next layer's experts that a naive Bayes guess finds, given this layer's and given nothing.

    Both arrays are [token, expert]; the `top_k` likeliest experts are the guess, without this layer the most popular.
    Even runs of 32 tokens are learned from and odd ones judged. NaN with too few tokens.
    """
    both = now.any(axis=1) & following.any(axis=1)
    judged = np.arange(np.count_nonzero(both)) // _RUN_TOKENS % 2 == 1
    if not judged.any():
        return math.nan, math.nan
    now_used, next_used = now[both].astype(np.float64), following[both].astype(np.float64)
    popularity = next_used[~judged].sum(axis=0)
    together = now_used[~judged].T @ next_used[~judged] + _SMOOTHING
    likelihood = now_used[judged] @ np.log(together / together.sum(axis=0)) + np.log(popularity + _SMOOTHING)
    truth = next_used[judged]
    by_bayes, by_popularity = (
        _ratio(np.take_along_axis(truth, best, axis=1).sum(), truth.sum())
        for best in (_best(likelihood, top_k), _best(np.broadcast_to(popularity, truth.shape), top_k))
    )
    return by_bayes, by_popularity


def _best(score: NDArray[np.float64], top_k: int) -> NDArray[np.int64]:
    return np.argsort(-score, axis=1, kind="stable")[:, :top_k]


def _chosen(trace: RoutingTrace, layer: int) -> Chosen:
    """Whether each token uses each expert of a layer: [token, expert]."""
    ids = trace.ids[:, layer]
    chosen = np.zeros((trace.n_tokens, trace.n_experts), dtype=bool)
    token, place = np.nonzero(ids != trace.missing)
    chosen[token, ids[token, place]] = True
    return chosen


def _overlap(chosen: Chosen, sequence: NDArray[np.int64], lag: int) -> float:
    """Share of a token's experts that the token `lag` later in its sequence uses too."""
    earlier, later = chosen[:-lag], chosen[lag:]
    paired = (sequence[:-lag] == sequence[lag:]) & later.any(axis=1)
    return _ratio((earlier & later)[paired].sum(), earlier[paired].sum())


def _reuse_by_popularity(chosen: Chosen) -> float:
    rate = chosen[chosen.any(axis=1)].sum(axis=0) / max(np.count_nonzero(chosen.any(axis=1)), 1)
    return _ratio((rate**2).sum(), rate.sum())


def _share(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), np.nan)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _mean(values: PerLayer) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
