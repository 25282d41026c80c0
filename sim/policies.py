"""Eviction policies: which expert leaves when another needs its place."""

from __future__ import annotations

import sys
from abc import abstractmethod
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Generic

from sim.policy import K, Policy

NEVER = sys.maxsize
"""The next use of a key that is not used again."""


class FIFO(Policy[K]):
    """First in, first out: the key inserted longest ago leaves first, whatever its uses."""

    def __init__(self, capacity: int, size_of: Callable[[K], int] | None = None) -> None:
        super().__init__(capacity, size_of)
        self._order: OrderedDict[K, None] = OrderedDict()

    def _inserted(self, key: K) -> None:
        self._order[key] = None

    def _touched(self, key: K) -> None:
        pass

    def _removed(self, key: K) -> None:
        del self._order[key]

    def _leaving(self) -> Iterator[K]:
        return iter(self._order)


class LRU(FIFO[K]):
    """Least recently used: the key whose last use lies furthest back leaves first."""

    def _touched(self, key: K) -> None:
        self._order.move_to_end(key)


class Ranked(Policy[K]):
    """Residents sorted by a rank taken at their last use: lowest leaves first, of equals the least recent.

    An operation is a binary search and one block move in a list of pointers, short for thousands of keys.
    """

    def __init__(self, capacity: int, size_of: Callable[[K], int] | None = None) -> None:
        super().__init__(capacity, size_of)
        self._uses = 0
        self._entries: dict[K, tuple[int, int, K]] = {}
        self._order: list[tuple[int, int, K]] = []

    @abstractmethod
    def _rank(self, key: K) -> int:
        """Return the rank of a key that is being used at this moment."""

    def _inserted(self, key: K) -> None:
        self._uses += 1  # unique, so that keys themselves are never compared
        entry = self._entries[key] = (self._rank(key), self._uses, key)
        insort(self._order, entry)

    def _touched(self, key: K) -> None:
        self._withdraw(key)
        self._inserted(key)

    def _removed(self, key: K) -> None:
        self._withdraw(key)

    def _leaving(self) -> Iterator[K]:
        return (key for _, _, key in self._order)

    def _withdraw(self, key: K) -> None:
        del self._order[bisect_left(self._order, self._entries.pop(key))]


class LFU(Ranked[K]):
    """Least frequently used: the key with the fewest uses leaves first, of equals the least recently used.

    Counts span the whole life of the cache, evictions included; the published analysis of LFU for experts
    (arXiv 2511.05814) leaves their scope open. `counts_survive=False` counts from the last insertion only.
    """

    def __init__(
        self, capacity: int, size_of: Callable[[K], int] | None = None, *, counts_survive: bool = True
    ) -> None:
        super().__init__(capacity, size_of)
        self._counts_survive = counts_survive
        self._counts: dict[K, int] = {}

    def _rank(self, key: K) -> int:
        count = self._counts[key] = self._counts.get(key, 0) + 1
        return count

    def _removed(self, key: K) -> None:
        super()._removed(key)
        if not self._counts_survive:
            del self._counts[key]


class Belady(Ranked[K]):
    """Belady's optimum: the key whose next use lies furthest ahead leaves first, of equals the least recent.

    `next_use(key, now)` gives the first position after `now` that uses the key, or NEVER, as `FutureIndex`
    does. Every use must be touched. No policy hits more often, if keys are of one size and batches fit.
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
