"""A store of what was made before, bounded in bytes: what was not used for longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class Lru(Generic[_Value]):
    """Values by key: as many as `most_bytes` have room for, by the sizes they are said to have, but at least one."""

    def __init__(self, most_bytes: int, size_of: Callable[[_Value], int]) -> None:
        self._most, self._size_of = most_bytes, size_of
        self._kept: OrderedDict[Hashable, tuple[_Value, int]] = OrderedDict()
        self.size_bytes = 0

    def get(self, key: Hashable) -> _Value | None:
        """What is kept under a key, or None."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: _Value) -> _Value:
        """Keep a value under a new key, at the expense of others; returns it."""
        size = self._size_of(value)
        while self._kept and self.size_bytes + size > self._most:
            _, (_, gone) = self._kept.popitem(last=False)
            self.size_bytes -= gone
        self._kept[key] = value, size
        self.size_bytes += size
        return value

    def __len__(self) -> int:
        return len(self._kept)
