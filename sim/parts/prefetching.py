"""Prefetches that wait behind demand loads, and may be withdrawn and ordered anew until the link turns to them."""

from __future__ import annotations

from collections.abc import Iterable

from sim.parts.scored import Exchange, ScoredCache
from sim.program import Program
from sim.schedule import Reason
from sim.slots import Key

PRIORITY = 1  # demand loads have 0


class PrefetchQueue:
    """Prefetches into a cache in the order of issue, which is the order in which a priority lane comes to them.

    Whose slot a prefetch is to fill is given up for it, but has lost it only when the copy begins (which is asked of
    the clock): if the prefetch is withdrawn before, it is back in the cache.
    """

    def __init__(self, cache: ScoredCache) -> None:
        self._cache = cache
        self._waiting: dict[int, Exchange] = {}  # load -> what it brings and what it overwrites
        self._unused: set[Key] = set()  # arrived, and not run since

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> list[Exchange]:
        """Those that have not begun, as far as is known; in order."""
        return list(self._waiting.values())

    def add(self, p: Program, exchange: Exchange, after: Iterable[int] = ()) -> None:
        """Queue a prefetch, last."""
        key, victim = exchange
        if victim is not None:
            p.drop(*victim)
            self._cache.leave(victim)
        load = p.load(*key, after=after, reason=Reason.PREFETCH, priority=PRIORITY)
        self._waiting[load] = exchange

    def take_begun(self, p: Program) -> None:
        """Count those as cached that the link has come to."""
        self._arrive([load for load in self._waiting if p.started(load)])

    def withdraw(self, p: Program) -> None:
        """Withdraw all; those for which it is too late are cached."""
        for load in p.withdraw(list(self._waiting)):
            _, victim = self._waiting.pop(load)
            if victim is not None and p.reclaim(*victim):
                self._cache.enter(victim)
        self._arrive(list(self._waiting))

    def first_use(self, key: Key) -> bool:
        """Whether a prefetch brought this expert, which runs now for the first time since."""
        unused = key in self._unused
        self._unused.discard(key)
        return unused

    def _arrive(self, loads: Iterable[int]) -> None:
        for load in loads:
            key, _ = self._waiting.pop(load)
            self._cache.enter(key)
            self._unused.add(key)
