"""The policy that keeps a running average of gate weights."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from heapq import merge

from sim.policy import K, Policy, layer_of

ALPHA = 0.5


class MRS(Policy[K]):
    """Minus recent score: the key with the lowest running average of gate weights leaves first.

    HybriMoE (arXiv 2504.05897): at every visit of a layer, S ← α·TopP(s) + (1 − α)·S for all its experts, evicted or
    not. α = 0.5 is the released code's. There, TopP keeps the scores of twice as many experts as are routed to; what
    reaches a cache are the weights of the routed ones. Without gate weights it is a decaying count of uses.
    """

    def __init__(self, capacity: int, size_of: Callable[[K], int] | None = None, *, alpha: float = ALPHA) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1 (got {alpha})")
        super().__init__(capacity, size_of)
        self._alpha = alpha
        self._log_decay = math.log1p(-alpha)
        self._uses = 0
        self._visits: Counter[int] = Counter()  # of each layer
        self._visited_at: dict[int, int] = {}
        self._scores: dict[K, tuple[float, int]] = {}  # as of a visit of the key's layer
        self._entries: dict[K, tuple[float, int, K]] = {}
        self._order: defaultdict[int, list[tuple[float, int, K]]] = defaultdict(list)  # decay moves no one in a layer

    def score(self, key: K) -> float:
        """The present score; 0 for a key that was never used."""
        value, visit = self._scores.get(key, (0.0, 0))
        return value * (1 - self._alpha) ** (self._visits[layer_of(key)] - visit)

    def _inserted(self, key: K, weight: float) -> None:
        layer = layer_of(key)
        self._visit(layer)
        value = self.score(key) + self._alpha * weight
        visit = self._visits[layer]
        self._scores[key] = (value, visit)
        self._uses += 1
        level = math.log(value) - visit * self._log_decay if value > 0 else -math.inf
        entry = self._entries[key] = (level, self._uses, key)
        insort(self._order[layer], entry)

    def _visit(self, layer: int) -> None:
        if self._visited_at.get(layer) != self.now:
            self._visited_at[layer] = self.now
            self._visits[layer] += 1

    def _touched(self, key: K, weight: float) -> None:
        self._removed(key)
        self._inserted(key, weight)

    def _removed(self, key: K) -> None:
        order = self._order[layer_of(key)]
        del order[bisect_left(order, self._entries.pop(key))]

    def _leaving(self, entering: K | None) -> Iterator[K]:
        by_layer = (self._by_score(layer, self._decay(layer, entering)) for layer in self._order)
        return (key for _, _, key in merge(*by_layer))

    def _by_score(self, layer: int, decay: float) -> Iterator[tuple[float, int, K]]:
        return ((level + decay, use, key) for level, use, key in self._order[layer])

    def _decay(self, layer: int, entering: K | None) -> float:
        """What turns a layer's levels into logarithms of present scores; the visit of `entering` counts."""
        begins = entering is not None and layer_of(entering) == layer and self._visited_at.get(layer) != self.now
        return (self._visits[layer] + begins) * self._log_decay
