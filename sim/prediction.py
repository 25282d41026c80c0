"""Predictions: how much of what a strategy was told of routing to come was true, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.trace import ExpertIds


@dataclass(frozen=True)
class LayerPrediction:
    """One MoE block (`layer`, counted from 0), as asked for `ahead` MoE blocks earlier."""

    layer: int
    ahead: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True)
class Prediction:
    """What a strategy asked of its predictor, against the truth, each token counted with each of its experts.

    `recall`: share of the routed experts that were named; `precision`: share of the named that were routed; None if
    there were none. Over all that was asked, and by block and look-ahead.
    """

    recall: float | None
    precision: float | None
    by_layer: tuple[LayerPrediction, ...]


class PredictionAccount:
    """Compares, block by block and look-ahead by look-ahead, what was named with what was routed."""

    def __init__(self, n_layers: int) -> None:
        self._n_layers = n_layers
        self._sums: dict[int, NDArray[np.int64]] = {}  # by look-ahead: routed, named and both [3, layer]

    @property
    def asked(self) -> bool:
        """Whether anything was asked at all."""
        return bool(self._sums)

    def add(self, moe: int, ahead: int, routed: ExpertIds, named: ExpertIds) -> None:
        """Count one answer: `routed` [token, k] is the truth, `named` [token, m] or one row [1, m] for all tokens."""
        is_routed, is_named = (ids != np.iinfo(ids.dtype).max for ids in (routed, named))
        both = ((routed[:, :, None] == named[:, None, :]) & is_routed[:, :, None]).sum()
        sums = self._of(ahead)
        sums[:, moe] += is_routed.sum(), is_named.sum() * (len(routed) // len(named) if len(named) else 0), both

    def add_sums(self, ahead: int, sums: NDArray[np.int64]) -> None:
        """Count what was routed, named and both in all answers of a run: [3, layer]."""
        self._of(ahead)[:] += sums

    def _of(self, ahead: int) -> NDArray[np.int64]:
        return self._sums.setdefault(ahead, np.zeros((3, self._n_layers), np.int64))

    def to_meta(self) -> list[dict[str, Any]]:
        """Plain values, to be kept with a Schedule: one row a look-ahead."""
        return [
            {"ahead": ahead, **dict(zip(("routed", "named", "both"), sums.tolist(), strict=True))}
            for ahead, sums in sorted(self._sums.items())
        ]


def prediction(meta: dict[str, Any]) -> Prediction | None:
    """What a Schedule's meta data say; None for a strategy that asked nothing."""
    if "prediction" not in meta:
        return None
    rows = [
        (ahead["ahead"], layer, *counts)
        for ahead in meta["prediction"]
        for layer, counts in enumerate(zip(ahead["routed"], ahead["named"], ahead["both"], strict=True))
        if any(counts)
    ]
    routed, named, both = (sum(row[place] for row in rows) for place in (2, 3, 4))
    by_layer = tuple(
        LayerPrediction(layer, ahead, _share(both, routed), _share(both, named))
        for ahead, layer, routed, named, both in rows
    )
    return Prediction(_share(both, routed), _share(both, named), by_layer)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
