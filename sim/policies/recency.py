"""Policies that keep one queue: FIFO and LRU."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from sim.policy import K, Policy


class FIFO(Policy[K]):
    """First in, first out: the key inserted longest ago leaves first, whatever its uses."""

    def __init__(self, capacity: int, size_of: Callable[[K], int] | None = None) -> None:
        super().__init__(capacity, size_of)
        self._order: OrderedDict[K, None] = OrderedDict()

    def _inserted(self, key: K, weight: float) -> None:
        self._order[key] = None

    def _touched(self, key: K, weight: float) -> None:
        pass

    def _removed(self, key: K) -> None:
        del self._order[key]

    def _leaving(self, entering: K | None) -> Iterator[K]:
        return iter(self._order)


class LRU(FIFO[K]):
    """Least recently used: the key whose last use lies furthest back leaves first."""

    def _touched(self, key: K, weight: float) -> None:
        self._order.move_to_end(key)
