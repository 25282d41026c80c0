"""The policy that counts uses over a sliding window."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable

from sim.policies.ranked import Ranked
from sim.policy import K, layer_of

WINDOW = 16


class Window(Ranked[K]):
    """Least used within the last `window` visits of its layer, of equals the least recently used.

    The workload score of DALI (arXiv 2602.03495), which swaps at the ends of windows, as an eviction policy; a
    batch counts an expert once, however many of its tokens use it. The default window is ours, not the paper's.
    """

    def __init__(self, capacity: int, size_of: Callable[[K], int] | None = None, *, window: int = WINDOW) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1 (got {window})")
        super().__init__(capacity, size_of)
        self._window = window
        self._counts: Counter[K] = Counter()
        self._visits: defaultdict[int, deque[tuple[int, list[K]]]] = defaultdict(deque)  # of a layer: when, and keys

    def _rank(self, key: K) -> int:
        visits = self._visits[layer_of(key)]
        if not visits or visits[-1][0] != self.now:
            visits.append((self.now, []))
            if len(visits) > self._window:
                self._forget(visits.popleft()[1])
        visits[-1][1].append(key)
        self._counts[key] += 1
        return self._counts[key]

    def _forget(self, keys: list[K]) -> None:
        for key in keys:
            self._counts[key] -= 1
            if key in self._entries:
                self._demote(key, self._counts[key])
