"""A cache of experts of all blocks, from which those of the lowest score leave first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.model import MoEModel
from sim.slots import Key

Score = NDArray[np.float64]  # [MoE block, expert]
Exchange = tuple[Key, Key | None]  # an expert that is to come, and the one that leaves for it


class ScoredCache:
    """Which experts are on the GPU. A score says who goes first; equals go by block, then by expert number."""

    def __init__(self, model: MoEModel, keys: Iterable[Key]) -> None:
        self._blocks = model.moe_layers
        self._moe = {block: moe for moe, block in enumerate(model.moe_layers)}
        self._on_gpu = np.zeros((model.n_moe_layers, model.n_experts), bool)
        for key in keys:
            self.enter(key)

    def __contains__(self, key: Key) -> bool:
        return bool(self._on_gpu[self._cell(key)])

    def enter(self, key: Key) -> None:
        """An expert is on the GPU now."""
        self._on_gpu[self._cell(key)] = True

    def leave(self, key: Key) -> None:
        """An expert is not on the GPU any more."""
        self._on_gpu[self._cell(key)] = False

    def leaving(self, score: Score, most: int, *, free: int, spared: Iterable[Key]) -> list[Key | None]:
        """Who makes room for the next `most` experts: nobody while slots are `free` (None), then the lowest scores.

        Fewer than `most` if all the others are spared.
        """
        candidates = self._on_gpu.copy()
        for key in spared:
            candidates[self._cell(key)] = False
        return [*[None] * min(free, most), *self._ascending(score, candidates, max(0, most - free))]

    def lowest(self, score: Score, among: Iterable[Key]) -> Key:
        """The one of these that leaves first."""
        return min((key for key in among if key in self), key=lambda key: (score[self._cell(key)], key))

    def absent(self, score: Score) -> list[Key]:
        """Those that are not on the GPU and whose score is above 0, the highest first."""
        return self._ascending(-score, ~self._on_gpu & (score > 0))

    def worthwhile(self, coming: Iterable[Key], leaving: Sequence[Key | None], score: Score) -> list[Exchange]:
        """Each of `leaving` in turn makes room for the next that comes with a higher score than its own."""
        exchanges: list[Exchange] = []
        for key in coming:
            if len(exchanges) == len(leaving):
                break
            victim = leaving[len(exchanges)]
            if victim is None or score[self._cell(key)] > score[self._cell(victim)]:
                exchanges.append((key, victim))
        return exchanges

    def _cell(self, key: Key) -> tuple[int, int]:
        return self._moe[key[0]], key[1]

    def _ascending(self, score: Score, candidates: NDArray[np.bool_], most: int | None = None) -> list[Key]:
        cells = np.flatnonzero(candidates)
        moe, expert = np.divmod(cells[np.argsort(score.ravel()[cells], kind="stable")[:most]], score.shape[1])
        return [(self._blocks[m], e) for m, e in zip(moe.tolist(), expert.tolist(), strict=True)]
