"""Replaying one sequence of accesses under many policies and capacities: compiled where Numba is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim.cache import FutureIndex, ReplayResult, make_policy, replay
from sim.compiler import without_compiler
from sim.policies.s3fifo import queue_capacities
from sim.policies.window import WINDOW
from sim.replay.accesses import Accesses, Key

STATIC_ORACLE = "static-oracle"
REFERENCES = ("belady", STATIC_ORACLE)
"""What knows the future, beside which all others are seen."""
COMPILED = ("lru", "lfu", "fifo", "lfu-da", "arc", "s3-fifo", "sieve", "least-stale", "window", "belady")


def missing_compiler() -> str | None:
    """A line for the user if replays cannot be compiled, else None."""
    return without_compiler("replays run")


class Replayer:
    """Replays the same accesses again and again, each time into an empty cache.

    Capacities count experts or, where `layer_bytes` [layer] gives the size of one expert, bytes. `compiled=False` is
    the reference: `sim.cache.replay` with the policies of `sim.policies`. The results are equal.
    """

    def __init__(
        self, accesses: Accesses, *, layer_bytes: NDArray[np.int64] | None = None, compiled: bool = True
    ) -> None:
        self.accesses = accesses
        self._layer_bytes = layer_bytes
        self._compiled = compiled and layer_bytes is None and missing_compiler() is None

    def run(self, policy: str, capacity: int) -> ReplayResult:
        """Count hits, misses and evictions; raises InputError for an unknown policy."""
        if policy == STATIC_ORACLE:
            return self._static(capacity)
        if self._compiled and policy in COMPILED:
            return ReplayResult(*self._kernel(policy, capacity))
        next_use = self._future.next_use if policy == "belady" else None
        cache = make_policy(policy, capacity, self._size_of, next_use=next_use)
        return replay(cache, self._batches, self.accesses.batch_weights() if policy == "mrs" else None)

    def _kernel(self, policy: str, capacity: int) -> tuple[int, int, int]:
        from sim.replay import kernels

        keys, starts, n_keys = self.accesses.keys, self.accesses.starts, self.accesses.n_keys
        shape = self.accesses.n_layers, self.accesses.n_experts
        match policy:
            case "lru" | "fifo":
                return kernels.queue(keys, starts, n_keys, capacity, policy == "lru")
            case "lfu" | "lfu-da":
                return kernels.ranked(keys, starts, n_keys, capacity, np.zeros(0, np.int32), policy == "lfu-da")
            case "belady":
                return kernels.ranked(keys, starts, n_keys, capacity, self._next_uses, False)
            case "arc":
                return kernels.arc(keys, starts, n_keys, capacity)
            case "s3-fifo":
                return kernels.s3fifo(keys, starts, n_keys, capacity, *queue_capacities(capacity))
            case "sieve":
                return kernels.sieve(keys, starts, n_keys, capacity)
            case "least-stale":
                return kernels.least_stale(keys, starts, *shape, capacity)
            case "window":
                return kernels.window(keys, starts, *shape, capacity, WINDOW)
        raise ValueError(f"{policy} is not compiled")

    def _static(self, capacity: int) -> ReplayResult:
        """The fixed set that hits most: it is loaded as it is first used, and the others stream through."""
        counts = self.accesses.counts()
        if self._layer_bytes is not None:
            raise ValueError("the best fixed set of experts of several sizes is not known")
        hits = int(np.maximum(np.sort(counts)[::-1][:capacity] - 1, 0).sum())
        return ReplayResult(hits, len(self.accesses) - hits, 0)

    @cached_property
    def _next_uses(self) -> NDArray[np.int32]:
        from sim.replay.kernels import next_uses

        return next_uses(self.accesses.keys, self.accesses.starts, self.accesses.n_keys)

    @cached_property
    def _batches(self) -> list[list[Key]]:
        return list(self.accesses.batches())

    @cached_property
    def _future(self) -> FutureIndex[Key]:
        return FutureIndex(self._batches)

    @property
    def _size_of(self) -> Callable[[Key], int] | None:
        sizes = self._layer_bytes
        return None if sizes is None else lambda key: int(sizes[key[0]])
