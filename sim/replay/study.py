"""Miss-ratio curves of a trace: every policy at every capacity, and what its misses are due to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sim.replay.accesses import trace_accesses
from sim.replay.replayer import REFERENCES, STATIC_ORACLE, Replayer
from sim.trace import RoutingTrace

Counts = NDArray[np.int64]
Scope = Literal["layer", "global"]


@dataclass(frozen=True, eq=False, slots=True)
class Study:
    """Misses and evictions [capacity, cache] of each policy; a cache is a layer's own, or the only one.

    `capacities` are those of one cache, in experts or, if `in_bytes`, bytes. `accesses` and `compulsory` (first uses,
    which no cache that starts empty hits) are [cache]. `misses` has every policy asked for, then the references.
    """

    scope: Scope
    batch: int
    capacities: tuple[int, ...]
    in_bytes: bool
    cache_experts: int
    accesses: Counts
    compulsory: Counts
    misses: dict[str, Counts]
    evictions: dict[str, Counts]

    @property
    def policies(self) -> list[str]:
        """What was asked for, then the references."""
        return list(self.misses)

    def miss_ratios(self, policy: str) -> NDArray[np.float64]:
        """Share of all accesses that missed: [capacity]; NaN without accesses."""
        return _share(self.misses[policy].sum(axis=1), self.accesses.sum())

    def layer_miss_ratios(self, policy: str) -> NDArray[np.float64]:
        """Share of each cache's accesses that missed: [capacity, cache]; NaN for a cache without accesses."""
        return _share(self.misses[policy], self.accesses)

    def split(self, policy: str) -> Counts:
        """All misses, by what would avoid them: [capacity, (compulsory, capacity, policy)].

        Compulsory are first uses; capacity, what Belady's optimum misses beyond them; policy, what this one misses
        beyond Belady. The last is negative where it may do what Belady may not: the static oracle need not admit
        what it misses. Batches larger than a cache, or experts of several sizes, also free others from Belady's bound.
        """
        misses, optimum = self.misses[policy].sum(axis=1), self.misses["belady"].sum(axis=1)
        compulsory = np.full_like(misses, self.compulsory.sum())
        return np.stack([compulsory, optimum - compulsory, misses - optimum], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: sizes, and for each policy and capacity the totals, the split and each cache's misses."""
        return {
            "scope": self.scope,
            "batch": self.batch,
            "capacity_unit": "bytes" if self.in_bytes else "experts",
            "experts_a_cache": self.cache_experts,
            "capacities": list(self.capacities),
            "accesses": int(self.accesses.sum()),
            "accesses_by_cache": self.accesses.tolist(),
            "compulsory_by_cache": self.compulsory.tolist(),
            "policies": {policy: self._policy_dict(policy) for policy in self.policies},
        }

    def _policy_dict(self, policy: str) -> dict[str, Any]:
        split = self.split(policy).T.tolist()
        return {
            "misses": self.misses[policy].sum(axis=1).tolist(),
            "miss_ratio": [None if np.isnan(ratio) else ratio for ratio in self.miss_ratios(policy).tolist()],
            "evictions": self.evictions[policy].sum(axis=1).tolist(),
            "compulsory_misses": split[0],
            "capacity_misses": split[1],
            "policy_misses": split[2],
            "misses_by_cache": self.misses[policy].tolist(),
        }


def study(
    trace: RoutingTrace, policies: Sequence[str], capacities: Sequence[int], *, scope: Scope = "layer", batch: int = 1,
    layer_bytes: Counts | None = None, fresh: bool = False, compiled: bool = True,
    progress: Callable[[str], None] = lambda text: None,
) -> Study:  # fmt: skip
    """Replay a trace under each policy at each capacity of one cache, with Belady and the static oracle beside them.

    `layer_bytes` [layer] makes capacities bytes; the static oracle is then left out. Every cache starts empty and
    lives through the whole trace, or, if `fresh`, through one batch of sequences, the next starting empty again.
    Raises InputError for an unknown policy or a batch below 1.
    """
    parts = [trace]
    if fresh and batch >= 1:
        parts = [trace.part(i, min(i + batch, trace.n_sequences)) for i in range(0, trace.n_sequences, batch)]
    layers = [None] if scope == "global" else list(range(trace.n_layers))
    references = [name for name in REFERENCES if layer_bytes is None or name != STATIC_ORACLE]
    everyone = list(dict.fromkeys([*(name for name in policies if name not in REFERENCES), *references]))
    shape = len(capacities), len(layers)
    misses = {policy: np.zeros(shape, np.int64) for policy in everyone}
    evictions = {policy: np.zeros(shape, np.int64) for policy in everyone}
    accesses, compulsory = np.zeros(len(layers), np.int64), np.zeros(len(layers), np.int64)
    for cache, layer in enumerate(layers):
        for part in parts:
            replayer = Replayer(trace_accesses(part, batch, layer), layer_bytes=layer_bytes, compiled=compiled)
            accesses[cache] += len(replayer.accesses)
            compulsory[cache] += np.count_nonzero(replayer.accesses.counts())
            for policy in everyone:
                progress(f"{policy}, all layers" if layer is None else f"layer {layer} of {trace.n_layers}, {policy}")
                for at, capacity in enumerate(capacities):
                    result = replayer.run(policy, capacity)
                    misses[policy][at, cache] += result.misses
                    evictions[policy][at, cache] += result.evictions
    cache_experts = trace.n_experts * (trace.n_layers if scope == "global" else 1)
    return Study(
        scope, batch, tuple(capacities), layer_bytes is not None, cache_experts, accesses, compulsory, misses, evictions
    )


def _share(part: Counts, whole: Counts | np.int64) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        share: NDArray[np.float64] = np.where(whole > 0, part / whole, np.nan)
    return share
