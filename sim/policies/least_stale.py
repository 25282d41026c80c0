"""The layer-aware policy: experts of the layers just passed leave first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from sim.policy import K, Policy, layer_of


class LeastStale(Policy[K]):
    """The key whose layer is visited again furthest ahead leaves first, within a layer the least recently used.

    Layers come round in a fixed order: after a layer has chosen its experts, its others are of no use for a whole
    forward pass, those of the next layer for a moment only. The argument is that of Least-Stale in SpecMD
    (arXiv 2602.03921), which is said to put out what the present pass has not used before what it has; the order by
    layers alone is ours. It never takes slots back from a layer that has got many. On one layer's cache it is LRU.
    """

    def __init__(self, capacity: int, size_of: Callable[[K], int] | None = None) -> None:
        super().__init__(capacity, size_of)
        self._layers: dict[int, OrderedDict[K, None]] = {}
        self._present = 0

    def _inserted(self, key: K, weight: float) -> None:
        self._present = layer_of(key)
        self._layers.setdefault(self._present, OrderedDict())[key] = None

    def _touched(self, key: K, weight: float) -> None:
        self._present = layer_of(key)
        self._layers[self._present].move_to_end(key)

    def _removed(self, key: K) -> None:
        del self._layers[layer_of(key)][key]

    def _leaving(self, entering: K | None) -> Iterator[K]:
        present = self._present if entering is None else layer_of(entering)
        for layer in sorted(self._layers, key=lambda layer: (layer > present, -layer)):
            yield from self._layers[layer]
