"""Predictors: who says which experts a coming layer will need, and how often that is right."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.trace import ExpertIds, id_dtype

Ids = NDArray[np.integer[Any]]


class Sight(Enum):
    """What a predictor is shown when it is asked: expert ids [token, k] in the router's order, or None."""

    NOTHING = "nothing: it learns from what it observes"
    EARLIER = "what the block `ahead` blocks before was routed to; None until that has been in this pass"
    RECORD = "what the trace holds of that block's gate, applied `ahead` blocks early; None until it could have been"
    TRUTH = "what it is asked for: the one stated channel to the future, for predictors that spoil it"


class Predictor(Protocol):
    """Guesses the experts that the tokens of a step need in a MoE layer, from what its `sight` shows it."""

    sight: ClassVar[Sight]

    def predict(
        self, moe_layer: int, step: int, seen: Ids | None, /, *, ahead: int = 1, size: int | None = None
    ) -> ExpertIds:
        """Return ids [row, m], best first: a row a token, or one that holds for all; m is `size`, by default top-k.

        `ahead`: MoE layers between the hidden state that is looked at and the layer in question. The highest value of
        the dtype marks what is not guessed.
        """

    def observe(self, moe_layer: int, ids: Ids, /) -> None:
        """Learn from the ids [token, k] that a layer has just been routed to."""


class _Counting:
    """Counts how often each expert of each layer was routed to."""

    def __init__(self, n_layers: int, n_experts: int) -> None:
        self.counts = np.zeros((n_layers, n_experts), np.int64)

    def observe(self, moe_layer: int, ids: Ids) -> None:
        """Add the routed ids; ids beyond the experts mark what was not routed."""
        n_experts = self.counts.shape[1]
        self.counts[moe_layer] += np.bincount(ids.ravel(), minlength=n_experts)[:n_experts]


class RecallPredictor(_Counting):
    """A gate applied early, modelled by its recall: the share of a token's experts that it names, when asked for k.

    `recall` is one share or one a layer; each further layer ahead multiplies it by `decay`. Mistakes look real: the
    router's lower choices, which were near the threshold, are missed more often than its first, and what is named
    instead is drawn in proportion to how often experts were routed to so far (plus one). Precision equals recall
    unless wrong experts run out. Equal seeds, steps and layers give equal guesses. Raises InputError for what is
    no share.
    """

    sight: ClassVar[Sight] = Sight.TRUTH

    def __init__(
        self, n_layers: int, n_experts: int, *, recall: float | Sequence[float], decay: float = 1.0, seed: int = 0
    ) -> None:
        super().__init__(n_layers, n_experts)
        shares = [recall] * n_layers if isinstance(recall, float | int) else list(recall)
        if len(shares) != n_layers:
            raise InputError(f"must be one share, or one for each of {n_layers} layers", field="predictor.recall")
        for field, share in (*(("recall", share) for share in shares), ("decay", decay)):
            if not 0 <= share <= 1:
                raise InputError(
                    "must be a share", field=f"predictor.{field}", value=share, remedy="give a number from 0 to 1"
                )
        self._recall, self._decay, self.seed = shares, decay, seed

    def kept(self, moe_layer: int, k: int, *, ahead: int = 1) -> NDArray[np.float64]:
        """How often the choice of each rank is named: [k]."""
        return _kept(self._recall[moe_layer] * self._decay ** (ahead - 1), k)

    def predict(
        self, moe_layer: int, step: int, truth: Ids | None, *, ahead: int = 1, size: int | None = None
    ) -> ExpertIds:
        """Return the true ids, some replaced, in the router's order; beyond k, more wrong ones."""
        true = told(truth)
        tokens, n_experts = len(true), self.counts.shape[1]
        rng = np.random.default_rng((self.seed, step, moe_layer, ahead))
        routed = true < n_experts
        missed = routed & (rng.random(true.shape) >= self.kept(moe_layer, true.shape[1], ahead=ahead))
        appeal = np.log(self.counts[moe_layer] + 1.0) + rng.gumbel(size=(tokens, n_experts))
        rows, ranks = np.nonzero(routed)
        appeal[rows, true[rows, ranks]] = -np.inf
        wrong = np.argsort(-appeal, axis=1, kind="stable")
        n_wrong = n_experts - routed.sum(axis=1, keepdims=True)
        size = true.shape[1] if size is None else size
        return _spoilt(true, missed, np.where(np.arange(n_experts) < n_wrong, wrong, -1), size, id_dtype(n_experts))


def _kept(recall: float, k: int) -> NDArray[np.float64]:
    """How often the choice of each rank is named: `recall` in the mean, less for lower ranks."""
    tilt = min(1.0, recall / (1 - recall)) if recall < 1 else 0.0
    rank = (2 * np.arange(k) + 2) / (k + 1) - 1
    kept: NDArray[np.float64] = 1 - (1 - recall) * (1 + tilt * rank)
    return kept


def _spoilt(
    true: Ids, missed: NDArray[np.bool_], wrong: NDArray[np.intp], size: int, dtype: np.dtype[np.unsignedinteger[Any]]
) -> ExpertIds:
    """`true` with the missed ones replaced by the first of `wrong` (-1: none left), cut or filled up to `size`."""
    tokens, k = true.shape
    missing = np.iinfo(dtype).max
    guess = np.full((tokens, max(k, size)), missing, dtype)
    guess[:, :k] = np.where(true == np.iinfo(true.dtype).max, missing, true)
    vacant = np.zeros(guess.shape, bool)
    vacant[:, :k] = missed
    vacant[:, k:] = True
    order = np.clip(np.cumsum(vacant, axis=1) - 1, 0, wrong.shape[1] - 1)
    drawn = np.take_along_axis(wrong, order, axis=1)
    drawn = np.where((np.cumsum(vacant, axis=1) > wrong.shape[1]) | (drawn < 0), missing, drawn)
    guess[vacant] = drawn[vacant]
    return guess[:, :size]


class PerfectPredictor:
    """Tells the truth."""

    sight: ClassVar[Sight] = Sight.TRUTH

    def predict(
        self, moe_layer: int, step: int, truth: Ids | None, *, ahead: int = 1, size: int | None = None
    ) -> ExpertIds:
        """Return the true ids, or the first `size` of them."""
        return told(truth)[:, :size]

    def observe(self, moe_layer: int, ids: Ids) -> None:
        """Nothing to learn."""


class RecordedPredictor:
    """Says what was recorded: the gates' own decisions on the states of earlier layers."""

    sight: ClassVar[Sight] = Sight.RECORD

    def __init__(self, n_experts: int) -> None:
        self._nothing: ExpertIds = np.empty((1, 0), id_dtype(n_experts))

    def predict(
        self, moe_layer: int, step: int, seen: Ids | None, *, ahead: int = 1, size: int | None = None
    ) -> ExpertIds:
        """Return the recorded ids, or the first `size` of them; none where no earlier layer could tell."""
        return self._nothing if seen is None else seen[:, :size]  # type: ignore[return-value]

    def observe(self, moe_layer: int, ids: Ids) -> None:
        """Nothing to learn."""


class PopularityPredictor(_Counting):
    """Always guesses the `size` experts that a layer was routed to most so far; ties go to the lower id."""

    sight: ClassVar[Sight] = Sight.NOTHING

    def __init__(self, n_layers: int, n_experts: int, *, size: int) -> None:
        super().__init__(n_layers, n_experts)
        self._size = size

    def predict(
        self, moe_layer: int, step: int, seen: Ids | None, *, ahead: int = 1, size: int | None = None
    ) -> ExpertIds:
        """Return one row for all tokens; before anything was observed, an empty one."""
        counts = self.counts[moe_layer]
        wanted = (self._size if size is None else size) if counts.any() else 0
        best = np.argsort(-counts, kind="stable")[:wanted]
        return best[None].astype(id_dtype(len(counts)))


class LastTokenPredictor:
    """Guesses that a layer needs what it needed in the step before."""

    sight: ClassVar[Sight] = Sight.NOTHING

    def __init__(self, n_experts: int) -> None:
        self._n_experts = n_experts
        self._last: dict[int, ExpertIds] = {}

    def predict(
        self, moe_layer: int, step: int, seen: Ids | None, *, ahead: int = 1, size: int | None = None
    ) -> ExpertIds:
        """Return one row for all tokens: the layer's experts of the last step, ascending; before the first, none."""
        nothing: ExpertIds = np.empty((1, 0), id_dtype(self._n_experts))
        return self._last.get(moe_layer, nothing)[:, :size]

    def observe(self, moe_layer: int, ids: Ids) -> None:
        """Remember the distinct experts."""
        self._last[moe_layer] = np.unique(ids[ids < self._n_experts])[None].astype(id_dtype(self._n_experts))


def told(truth: Ids | None) -> ExpertIds:
    """The truth, for a predictor that cannot do without."""
    if truth is None:
        raise TypeError("this predictor degrades the truth and must be told it")
    return truth  # type: ignore[return-value]
