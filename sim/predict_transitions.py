"""A predictor that has learned, before the run, which experts follow which from one MoE layer to a later one."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.predict import Ids, Sight
from sim.trace import ExpertIds, RoutingTrace

_CHUNK_TOKENS = 8192
_SMOOTHING = 0.1  # counts added to each pair of experts, so that unseen pairs stay possible


class TransitionPredictor:
    """Guesses a layer's experts from those of an earlier layer of the same token, by tables of a training trace.

    A table holds P(expert of the layer | expert of the layer `ahead` before), counted over the training tokens. A
    token's k experts are taken as independent evidence: score(e) = log P(e) + Σ log P(e | earlier) / P(e). Where the
    earlier layer is not known yet, the layer's most popular experts of the training trace are the guess.
    """

    sight: ClassVar[Sight] = Sight.EARLIER

    def __init__(self, training: RoutingTrace) -> None:
        self._training = training
        self._prior = np.log(training.popularity() + _SMOOTHING)
        self._evidence: dict[tuple[int, int], NDArray[np.float64]] = {}

    def predict(
        self, moe_layer: int, step: int, seen: Ids | None, *, ahead: int = 1, size: int | None = None
    ) -> ExpertIds:
        """Return a row a token, or, where nothing is seen, one row for all."""
        score = self._prior[moe_layer][None]
        if seen is not None:
            evidence = self._evidence_of(moe_layer, ahead)
            score = score + evidence[np.minimum(seen, len(evidence) - 1)].sum(axis=1)
        best = np.argsort(-score, axis=1, kind="stable")[:, : self._training.top_k if size is None else size]
        return best.astype(self._training.ids.dtype)

    def observe(self, moe_layer: int, ids: Ids) -> None:
        """Nothing to learn any more."""

    def _evidence_of(self, layer: int, ahead: int) -> NDArray[np.float64]:
        """[earlier expert, expert], log of how much likelier the one makes the other; a last row for no expert."""
        if (layer, ahead) not in self._evidence:
            together = pair_counts(self._training, layer - ahead, layer) + _SMOOTHING
            chance = together.sum(axis=0) / together.sum()
            given = together / together.sum(axis=1, keepdims=True)
            none = np.zeros((1, len(together)))
            self._evidence[layer, ahead] = np.concatenate([np.log(given / chance), none])
        return self._evidence[layer, ahead]


def pair_counts(trace: RoutingTrace, earlier: int, later: int) -> NDArray[np.float64]:
    """Count the tokens that used an expert of one layer and an expert of another: [earlier expert, later expert]."""
    counts = np.zeros((trace.n_experts, trace.n_experts))
    for start in range(0, trace.n_tokens, _CHUNK_TOKENS):
        rows = slice(start, start + _CHUNK_TOKENS)
        counts += _used(trace, rows, earlier).T @ _used(trace, rows, later)
    return counts


def _used(trace: RoutingTrace, rows: slice, layer: int) -> NDArray[np.float32]:
    """1 where a token uses an expert: [token, expert]."""
    ids = np.minimum(trace.ids[rows, layer], trace.n_experts)
    used = np.zeros((len(ids), trace.n_experts + 1), np.float32)
    np.put_along_axis(used, ids.astype(np.intp), 1, axis=1)
    return used[:, :-1]
