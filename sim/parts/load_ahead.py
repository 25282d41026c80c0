"""Loading ahead: experts that this forward pass and the next are known to need, in order of need, as room allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from sim.parts.resident import ExpertCache
from sim.program import Program
from sim.schedule import Reason
from sim.slots import Key

_PRIORITY = 1  # loads that the present block waits for have 0


class Wanted(NamedTuple):
    """An expert that forward pass number `step` needs, and what its load must follow."""

    step: int
    key: Key
    after: tuple[int, ...]


class LoadQueue:
    """For the present pass experts leave that it has done with, by the cache's policy; for the next one none.

    The first that finds no room holds up all others.
    """

    def __init__(self, cache: ExpertCache, *, swap: bool) -> None:
        self._cache, self._swap = cache, swap
        self._queue: deque[Wanted] = deque()

    def ask(self, step: int, keys: Iterable[Key], after: Iterable[int]) -> None:
        """Queue experts behind all that were asked for before."""
        follows = tuple(after)
        self._queue.extend(Wanted(step, key, follows) for key in keys)

    def load(self, p: Program, step: int, block: int, needed: set[Key]) -> list[Key]:
        """Issue what there is room for; returns it. Pass `step` has done with all up to `block`, and needs `needed`."""
        loaded: list[Key] = []
        while self._queue:
            wanted = self._queue[0]
            late = (wanted.step, wanted.key[0]) <= (step, block)
            if not late and wanted.key not in self._cache:
                if not self._fits(p, wanted, step, needed):
                    return loaded
                loaded.append(wanted.key)
            self._queue.popleft()
        return loaded

    def _fits(self, p: Program, wanted: Wanted, step: int, needed: set[Key]) -> bool:
        if wanted.step != step and not self._cache.room(wanted.key[0]):
            return False
        load = self._cache.admit(
            p, wanted.key, protected=needed, swap=self._swap, after=wanted.after, reason=Reason.PREFETCH,
            priority=_PRIORITY,
        )  # fmt: skip
        return load is not None
