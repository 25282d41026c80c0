"""Policies that count uses: LFU, and LFU with dynamic ageing."""

from __future__ import annotations

from collections.abc import Callable

from sim.policies.ranked import Ranked
from sim.policy import K


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


class LFUDA(Ranked[K]):
    """LFU with dynamic ageing: uses since insertion, plus the rank of the key that left last at the last use.

    So a key that was popular long ago is overtaken by newcomers in the end. Arlitt et al., "Evaluating content
    management techniques for Web proxy caches" (2000), with all sizes and costs equal; it has no parameters.
    """

    def __init__(self, capacity: int, size_of: Callable[[K], int] | None = None) -> None:
        super().__init__(capacity, size_of)
        self._age = 0
        self._counts: dict[K, int] = {}

    def _rank(self, key: K) -> int:
        count = self._counts[key] = self._counts.get(key, 0) + 1
        return count + self._age

    def _removed(self, key: K) -> None:
        self._age = self._entries[key][0]
        super()._removed(key)
        del self._counts[key]
