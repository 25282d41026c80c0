"""S3-FIFO: a small queue on trial, a main queue, and a memory of those that failed the trial."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from sim.policy import K, Policy

SMALL, GHOST = 0.1, 0.9
PROMOTED = 2
MOST_USES = 3


class S3FIFO(Policy[K]):
    """Newcomers queue in a small part and enter the main queue if used twice, or soon after they failed to.

    The main queue gives a key another round for each of its last uses, three at most. Yang et al., "FIFO queues are
    all you need for cache eviction" (SOSP 2023): small part 10 % of the capacity, memory 90 %, as the paper and
    libCacheSim have it. Like libCacheSim, and unlike the paper, a cache that fills puts in the main queue what the
    small one cannot hold. The small part is never less than one unit, so that caches of a few experts have one.
    """

    def __init__(self, capacity: int, size_of: Callable[[K], int] | None = None) -> None:
        super().__init__(capacity, size_of)
        self._small_capacity, self._ghost_capacity = queue_capacities(capacity)
        self._small: OrderedDict[K, int] = OrderedDict()  # uses since they came, or came round
        self._main: OrderedDict[K, int] = OrderedDict()
        self._ghost: OrderedDict[K, None] = OrderedDict()
        self._small_used = self._ghost_used = 0
        self._filling = True

    def _inserted(self, key: K, weight: float) -> None:
        size = self._size(key)
        known = key in self._ghost
        if known:
            del self._ghost[key]
            self._ghost_used -= size
        if known or (self._filling and self._small_used >= self._small_capacity):
            self._main[key] = 0
        else:
            self._small[key] = 0
            self._small_used += size
        while self._ghost_used > self._ghost_capacity:
            self._ghost_used -= self._size(self._ghost.popitem(last=False)[0])

    def _touched(self, key: K, weight: float) -> None:
        queue = self._small if key in self._small else self._main
        queue[key] += 1

    def _removed(self, key: K) -> None:
        self._filling = False
        if key not in self._small:
            del self._main[key]
            return
        del self._small[key]
        self._small_used -= self._size(key)
        self._ghost[key] = None
        self._ghost_used += self._size(key)

    def _leaving(self, entering: K | None) -> Iterator[K]:
        refused: set[K] = set()
        while len(refused) < len(self._small) + len(self._main):
            main_used = self.used - self._small_used
            from_main = main_used > self.capacity - self._small_capacity or refused.issuperset(self._small)
            if from_main and refused.issuperset(self._main):
                from_main = False
            key = self._next_of_main(refused) if from_main else self._next_of_small(refused)
            if key is not None:
                yield key
                refused.add(key)

    def _next_of_small(self, refused: set[K]) -> K | None:
        """The first that failed its trial; those before it that did not go to the main queue."""
        while (key := next((key for key in self._small if key not in refused), None)) is not None:
            if self._small[key] < PROMOTED:
                return key
            del self._small[key]
            self._small_used -= self._size(key)
            self._main[key] = 0
        return None

    def _next_of_main(self, refused: set[K]) -> K:
        """The first without a use; those before it go round again."""
        while True:
            key = next(key for key in self._main if key not in refused)
            uses = self._main[key]
            if not uses:
                return key
            del self._main[key]
            self._main[key] = min(uses, MOST_USES) - 1


def queue_capacities(capacity: int) -> tuple[int, int]:
    """Of the small queue and of the memory."""
    return max(1, int(capacity * SMALL)), int(capacity * GHOST)
