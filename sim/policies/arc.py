"""ARC: recency and frequency in two lists whose shares follow what would have hit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic

from sim.policy import K, Policy


class ARC(Policy[K]):
    """Keys used once and keys used again, each in a list by recency; evicted keys are remembered for each list.

    A miss on a remembered key gives its list more of the capacity. Megiddo and Modha, "ARC: a self-tuning, low
    overhead replacement cache" (FAST 2003); it has no parameters. Where keys have sizes, lists are measured by them.
    """

    def __init__(self, capacity: int, size_of: Callable[[K], int] | None = None) -> None:
        super().__init__(capacity, size_of)
        self._once, self._again = _Listed[K](self._size), _Listed[K](self._size)
        self._once_evicted, self._again_evicted = _Listed[K](self._size), _Listed[K](self._size)
        self._target = 0.0  # of `once`
        self._adapted: tuple[K, float] | None = None  # a key that room is being made for, and the target with it

    def _inserted(self, key: K, weight: float) -> None:
        self._target = self._target_for(key)
        self._adapted = None
        known = key in self._once_evicted.keys or key in self._again_evicted.keys
        self._once_evicted.discard(key)
        self._again_evicted.discard(key)
        (self._again if known else self._once).append(key)
        self._once_evicted.trim(self.capacity - self._once.used)
        self._again_evicted.trim(2 * self.capacity - self.used - self._once_evicted.used)

    def _touched(self, key: K, weight: float) -> None:
        self._adapted = None
        self._once.discard(key)
        self._again.discard(key)
        self._again.append(key)

    def _removed(self, key: K) -> None:
        once = key in self._once.keys
        (self._once if once else self._again).discard(key)
        (self._once_evicted if once else self._again_evicted).append(key)

    def _leaving(self, entering: K | None) -> Iterator[K]:
        target = self._target
        if entering is not None:
            target = self._target_for(entering)
            self._adapted = entering, target
        used = self._once.used
        if used > target or (used == target and entering in self._again_evicted.keys):
            yield from self._once.keys
            yield from self._again.keys
        else:
            yield from self._again.keys
            yield from self._once.keys

    def _target_for(self, key: K) -> float:
        """The share of `once` after a miss on this key, decided when room was first made for it."""
        if self._adapted is not None and self._adapted[0] == key:
            return self._adapted[1]
        once, again, size = self._once_evicted.used, self._again_evicted.used, self._size(key)
        if key in self._once_evicted.keys:
            return min(self.capacity, self._target + size * max(1.0, again / once))
        if key in self._again_evicted.keys:
            return max(0.0, self._target - size * max(1.0, once / again))
        return self._target


class _Listed(Generic[K]):
    """Keys by recency, the least recent first, and their sizes' sum."""

    def __init__(self, size_of: Callable[[K], int]) -> None:
        self.keys: OrderedDict[K, None] = OrderedDict()
        self.used = 0
        self._size_of = size_of

    def append(self, key: K) -> None:
        self.keys[key] = None
        self.used += self._size_of(key)

    def discard(self, key: K) -> None:
        if key in self.keys:
            del self.keys[key]
            self.used -= self._size_of(key)

    def trim(self, most: int) -> None:
        while self.used > most:
            self.used -= self._size_of(self.keys.popitem(last=False)[0])
