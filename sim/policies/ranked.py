"""The base of policies that sort their residents by a number."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator

from sim.policy import K, Policy


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

    def _inserted(self, key: K, weight: float) -> None:
        self._uses += 1  # unique, so that keys themselves are never compared
        entry = self._entries[key] = (self._rank(key), self._uses, key)
        insort(self._order, entry)

    def _touched(self, key: K, weight: float) -> None:
        self._withdraw(key)
        self._inserted(key, weight)

    def _removed(self, key: K) -> None:
        self._withdraw(key)

    def _leaving(self, entering: K | None) -> Iterator[K]:
        return (key for _, _, key in self._order)

    def _demote(self, key: K, rank: int) -> None:
        """Give a resident another rank without a use."""
        _, use, _ = entry = self._entries[key]
        del self._order[bisect_left(self._order, entry)]
        entry = self._entries[key] = (rank, use, key)
        insort(self._order, entry)

    def _withdraw(self, key: K) -> None:
        del self._order[bisect_left(self._order, self._entries.pop(key))]
