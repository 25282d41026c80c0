"""Least loads: how many uses of experts cannot be hits, whatever is cached."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray


def least_misses(visit: NDArray[np.intp], key: NDArray[np.int64], n_slots: int) -> int:
    """The least number of uses (`visit` [use], ascending, `key` [use]) that find their expert in none of `n_slots`.

    An expert is a hit only if it has kept a slot since its last use (or since the start, which may find any experts
    in the slots), and between two visits no more experts than slots are kept: so hits are intervals of which at most
    `n_slots` overlap anywhere, and the most intervals are had by giving up, whenever there are too many, the one that
    ends last (Belady). Uses of one visit may come in any order, and what is loaded need not be kept.
    """
    next_visit = _next_visits(visit, key)
    kept = _Kept(n_slots)
    for first_visit in sorted(_first_visits(visit, key)):
        kept.add(first_visit)
    kept.give_up()
    misses, at, n = 0, 0, len(visit)
    visits, nexts = visit.tolist(), next_visit.tolist()
    while at < n:
        now, end = visits[at], at
        while end < n and visits[end] == now:
            end += 1
        misses += (end - at) - kept.due(now)
        for later in nexts[at:end]:
            if later >= 0:
                kept.add(later)
        kept.give_up()
        at = end
    return misses


class _Kept:
    """Experts in slots, told apart only by the visit that next needs them: those of one visit are alike."""

    def __init__(self, n_slots: int) -> None:
        self._n_slots = n_slots
        self._size = 0
        self._count: dict[int, int] = {}
        self._latest: list[int] = []  # heap of visits, negative; some have been dealt with

    def add(self, visit: int) -> None:
        self._size += 1
        if visit not in self._count:
            self._count[visit] = 0
            heappush(self._latest, -visit)
        self._count[visit] += 1

    def due(self, visit: int) -> int:
        """Take out those that this visit needs; returns how many there are."""
        there = self._count.pop(visit, 0)
        self._size -= there
        return there

    def give_up(self) -> None:
        """Let go of those needed last until the slots suffice."""
        while self._size > self._n_slots:
            latest = -self._latest[0]
            there = self._count.get(latest, 0)
            left = max(0, there - (self._size - self._n_slots))
            self._size -= there - left
            if left:
                self._count[latest] = left
            else:
                heappop(self._latest)
                self._count.pop(latest, None)


def _next_visits(visit: NDArray[np.intp], key: NDArray[np.int64]) -> NDArray[np.intp]:
    """The visit of each use's next use of the same key, or -1."""
    order = np.lexsort((visit, key))
    later = np.full(len(visit), -1, np.intp)
    same = key[order[1:]] == key[order[:-1]]
    later[order[:-1][same]] = visit[order[1:][same]]
    return later


def _first_visits(visit: NDArray[np.intp], key: NDArray[np.int64]) -> Sequence[int]:
    _, first = np.unique(key, return_index=True)
    firsts: list[int] = visit[first].tolist()
    return firsts
