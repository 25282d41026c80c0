"""SIEVE: a queue, a hand that moves over it, and one bit a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sim.policy import K, Policy


class Sieve(Policy[K]):
    """The hand goes from the oldest key to the newest, again and again, and takes the first without a use since.

    Those that it passes lose their mark, protected ones included. Zhang et al., "SIEVE is simpler than LRU" (NSDI
    2024); it has no parameters.
    """

    def __init__(self, capacity: int, size_of: Callable[[K], int] | None = None) -> None:
        super().__init__(capacity, size_of)
        self._newer: dict[K, K | None] = {}
        self._older: dict[K, K | None] = {}
        self._oldest: K | None = None
        self._newest: K | None = None
        self._hand: K | None = None  # None: at the oldest
        self._marked: set[K] = set()

    def _inserted(self, key: K, weight: float) -> None:
        self._older[key], self._newer[key] = self._newest, None
        if self._newest is None:
            self._oldest = key
        else:
            self._newer[self._newest] = key
        self._newest = key

    def _touched(self, key: K, weight: float) -> None:
        self._marked.add(key)

    def _removed(self, key: K) -> None:
        older, newer = self._older.pop(key), self._newer.pop(key)
        if older is None:
            self._oldest = newer
        else:
            self._newer[older] = newer
        if newer is None:
            self._newest = older
        else:
            self._older[newer] = older
        if self._hand == key:
            self._hand = newer
        self._marked.discard(key)

    def _leaving(self, entering: K | None) -> Iterator[K]:
        for _ in range(2 * len(self._newer)):  # after one round all marks are gone
            here = self._oldest if self._hand is None else self._hand
            assert here is not None, "a cache that is asked has residents"
            self._hand = here
            if here not in self._marked:
                yield here
            self._marked.discard(here)
            self._hand = self._newer[here]
