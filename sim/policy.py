"""The base of every eviction policy: it alone keeps the sizes and refuses misuse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Hashable, Iterator
from typing import Generic, TypeVar

from sim.errors import ScheduleError

K = TypeVar("K", bound=Hashable)


class Policy(ABC, Generic[K]):
    """Resident keys that never outgrow the capacity, and the order in which they would leave.

    Capacity counts keys or, where `size_of(key)` is given, its unit (bytes, say). The caller makes room:
    while a key does not fit, ask for a `victim` and `remove` it; then `insert`. Misuse raises ScheduleError.
    `now` is the number of batches before this one (the keys that a layer needs at once): the caller moves it on.
    Policies that tell layers apart take the first part of a (layer, expert) key for the layer, and all other keys
    for one layer's.
    """

    def __init__(self, capacity: int, size_of: Callable[[K], int] | None = None) -> None:
        if capacity < 0:
            raise ValueError(f"capacity must not be negative (got {capacity})")
        self.capacity = capacity
        self.used = 0
        self.now = 0
        self._size_of = size_of
        self._sizes: dict[K, int] = {}

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[K]:
        return iter(self._sizes)

    def __contains__(self, key: object) -> bool:
        return key in self._sizes

    def contains(self, key: K) -> bool:
        """Whether the key is resident; asking changes nothing."""
        return key in self._sizes

    def fits(self, key: K) -> bool:
        """Whether the key could be inserted now without removing another."""
        return self.used + self._size(key) <= self.capacity

    def touch(self, key: K, weight: float = 1.0) -> None:
        """Record one use of a resident key; `weight` is the gate's, summed over the batch's tokens."""
        if key not in self._sizes:
            raise ScheduleError(f"{key!r} was touched but is not in the cache")
        self._touched(key, weight)

    def insert(self, key: K, weight: float = 1.0) -> None:
        """Make a key resident; this counts as one use of that gate weight."""
        if key in self._sizes:
            raise ScheduleError(f"{key!r} was inserted but is in the cache already")
        size = self._size(key)
        if self.used + size > self.capacity:
            raise ScheduleError(f"{key!r} of size {size} does not fit: {self.used} of {self.capacity} used")
        self._sizes[key] = size
        self.used += size
        self._inserted(key, weight)

    def remove(self, key: K) -> None:
        """Take a resident key out, because it was the victim or for any other reason."""
        if key not in self._sizes:
            raise ScheduleError(f"{key!r} was removed but is not in the cache")
        self.used -= self._sizes.pop(key)
        self._removed(key)

    def victim(self, protected: Container[K] = (), *, entering: K | None = None) -> K | None:
        """Return the key that should leave next, None if all are protected; it stays until removed.

        `entering` is the key that room is made for. Asking again gives the same answer.
        """
        if not self._sizes:
            raise ScheduleError("an empty cache has no victim")
        return next((key for key in self._leaving(entering) if key not in protected), None)

    def _size(self, key: K) -> int:
        if self._size_of is None:
            return 1
        size = self._size_of(key)
        if size < 0:
            raise ValueError(f"size of {key!r} must not be negative (got {size})")
        return size

    @abstractmethod
    def _inserted(self, key: K, weight: float) -> None: ...

    @abstractmethod
    def _touched(self, key: K, weight: float) -> None: ...

    @abstractmethod
    def _removed(self, key: K) -> None: ...

    @abstractmethod
    def _leaving(self, entering: K | None) -> Iterator[K]:
        """Yield the residents, first to leave first, for as long as they are refused.

        What an algorithm does on its way to a victim (moving a hand, say) it may do here, if the answer stays.
        """


def layer_of(key: Hashable) -> int:
    """The layer of a (layer, expert) key; 0 for any other key."""
    return key[0] if isinstance(key, tuple) else 0
