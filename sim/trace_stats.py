"""What a routing trace is like: how popular, how repetitive and how predictable its experts are, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.replay import Replayer
from sim.replay.accesses import trace_accesses
from sim.trace import RoutingTrace
from sim.trace_repeats import PerLayer, following, repeats

POLICIES = ("lru", "lfu")
CACHE_PERCENTS = (25, 50, 75)


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
    """Measure a trace, all tokens alike (take `trace.decode_only()` for decode).

    Holds some thousand tokens at a time and, for the hit rates, one layer.
    """
    counts = trace.popularity()
    columns = {"entropy": entropy(counts), "top_share": top_share(counts)}
    return TraceStats(**columns, **repeats(trace, counts), **following(trace), **_hit_rates(trace))


def _hit_rates(trace: RoutingTrace) -> dict[str, PerLayer]:
    """Hit rates [layer] of all policies and capacities, every token a batch of its own."""
    rates = {
        f"{policy}_{percent}": np.full(trace.n_layers, np.nan) for policy in POLICIES for percent in CACHE_PERCENTS
    }
    no_prompts = np.zeros_like(trace.prompt_tokens)
    for layer in range(trace.n_layers):
        ids = np.sort(trace.ids[:, layer : layer + 1], axis=2)
        replayer = Replayer(trace_accesses(RoutingTrace(ids, trace.offsets, no_prompts, trace.n_experts)))
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


def _share(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), np.nan)


def _mean(values: PerLayer) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
