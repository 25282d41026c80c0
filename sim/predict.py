"""Predictors: who says which experts a coming layer will need, and how often that is right."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError

Ids = NDArray[np.integer[Any]]


class Predictor(Protocol):
    """Guesses the distinct experts that a MoE layer needs in the present step.

    `needs_truth` marks the one stated channel to the future: such a predictor is given the true set, ascending, and
    spoils it to a known accuracy. Others are given None and learn from what they observe.
    """

    needs_truth: ClassVar[bool]

    def predict(self, moe_layer: int, step: int, truth: Ids | None) -> list[int]:
        """Return distinct expert ids; of a predictor that needs the truth, ascending and as many as are true."""

    def observe(self, moe_layer: int, ids: Ids) -> None:
        """Learn from the ids [token, k] that a layer has just been routed to."""


class _Counting:
    """Counts how often each expert of each layer was routed to."""

    def __init__(self, n_layers: int, n_experts: int) -> None:
        self.counts = np.zeros((n_layers, n_experts), np.int64)

    def observe(self, moe_layer: int, ids: Ids) -> None:
        """Add the routed ids; ids beyond the experts mark what was not routed."""
        n_experts = self.counts.shape[1]
        self.counts[moe_layer] += np.bincount(ids.ravel(), minlength=n_experts)[:n_experts]


class PerfectPredictor:
    """Tells the truth."""

    needs_truth: ClassVar[bool] = True

    def predict(self, moe_layer: int, step: int, truth: Ids | None) -> list[int]:
        """Return the true set."""
        return _told(truth)

    def observe(self, moe_layer: int, ids: Ids) -> None:
        """Nothing to learn."""


class RecallPredictor(_Counting):
    """A next-layer gate modelled by its recall: each true expert is predicted with that probability.

    A missed one is replaced by a wrong expert, drawn in proportion to how often experts were routed to so far
    (plus one), since real gates err towards popular experts. Precision equals recall unless wrong experts run out.
    Equal seeds, steps and layers give equal guesses. Raises InputError for a recall outside [0, 1].
    """

    needs_truth: ClassVar[bool] = True

    def __init__(self, n_layers: int, n_experts: int, *, recall: float, seed: int = 0) -> None:
        if not 0 <= recall <= 1:
            raise InputError(
                "must be a share", field="predictor.recall", value=recall, remedy="give a number from 0 to 1"
            )
        super().__init__(n_layers, n_experts)
        self._recall, self._seed = recall, seed

    def predict(self, moe_layer: int, step: int, truth: Ids | None) -> list[int]:
        """Return the true experts that were not missed and the replacements of the others, ascending."""
        true = _told(truth)
        rng = np.random.default_rng((self._seed, step, moe_layer))
        kept = [expert for expert, luck in zip(true, rng.random(len(true)), strict=True) if luck < self._recall]
        odds = self.counts[moe_layer] + 1.0
        odds[true] = 0.0
        n_wrong = min(len(true) - len(kept), int(np.count_nonzero(odds)))
        if n_wrong:
            kept += rng.choice(len(odds), n_wrong, replace=False, p=odds / odds.sum()).tolist()
        return sorted(kept)  # the order must not tell which are right


class PopularityPredictor(_Counting):
    """Always guesses the `size` experts that a layer was routed to most so far; ties go to the lower id."""

    needs_truth: ClassVar[bool] = False

    def __init__(self, n_layers: int, n_experts: int, *, size: int) -> None:
        super().__init__(n_layers, n_experts)
        self._size = size

    def predict(self, moe_layer: int, step: int, truth: Ids | None) -> list[int]:
        """Return the most popular experts, most popular first; before anything was observed, none."""
        counts = self.counts[moe_layer]
        if not counts.any():
            return []
        best: list[int] = np.argsort(-counts, kind="stable")[: self._size].tolist()
        return best


class LastTokenPredictor:
    """Guesses that a layer needs what it needed in the step before."""

    needs_truth: ClassVar[bool] = False

    def __init__(self, n_experts: int) -> None:
        self._n_experts = n_experts
        self._last: dict[int, list[int]] = {}

    def predict(self, moe_layer: int, step: int, truth: Ids | None) -> list[int]:
        """Return the layer's experts of the last step, ascending; before the first, none."""
        return self._last.get(moe_layer, [])

    def observe(self, moe_layer: int, ids: Ids) -> None:
        """Remember the distinct experts."""
        self._last[moe_layer] = np.unique(ids[ids < self._n_experts]).tolist()


def _told(truth: Ids | None) -> list[int]:
    if truth is None:
        raise TypeError("this predictor degrades the truth and must be told it")
    told: list[int] = truth.tolist()
    return told
