"""Belady's optimum, which knows the future, and the index of that future."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Generic

from sim.policies.ranked import Ranked
from sim.policy import K

NEVER = sys.maxsize
"""The next use of a key that is not used again."""


class Belady(Ranked[K]):
    """Belady's optimum: the key whose next use lies furthest ahead leaves first, of equals the least recent.

    `next_use(key, now)` gives the first position after `now` that uses the key, or NEVER, as `FutureIndex`
    does. Every use must be touched. No policy that admits what it misses hits more often, if keys are of one size
    and batches fit.
    """

    def __init__(
        self, capacity: int, next_use: Callable[[K, int], int], size_of: Callable[[K], int] | None = None
    ) -> None:
        super().__init__(capacity, size_of)
        self._next_use = next_use

    def _rank(self, key: K) -> int:
        return -self._next_use(key, self.now)


class FutureIndex(Generic[K]):
    """Where each key is used: position p is the p-th batch of keys entered together."""

    def __init__(self, batches: Iterable[Iterable[K]]) -> None:
        self._positions: dict[K, list[int]] = {}
        for position, batch in enumerate(batches):
            for key in batch:
                self._positions.setdefault(key, []).append(position)

    def next_use(self, key: K, now: int) -> int:
        """Return the first position after `now` that uses the key, or NEVER."""
        positions = self._positions.get(key, [])
        following = bisect_right(positions, now)
        return positions[following] if following < len(positions) else NEVER
