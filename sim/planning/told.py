"""Predictors that can be asked for a whole run at once: those that answer for each token by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.compiler import has_compiler
from sim.planning.passes import Passes
from sim.predict import PerfectPredictor, Predictor, RecallPredictor, RecordedPredictor
from sim.trace import ExpertIds, RoutingTrace

Ids = NDArray[np.int32]


def told_at_once(
    trace: RoutingTrace, run: Passes, first_moe: NDArray[np.int64], predictor: Predictor
) -> tuple[NDArray[np.int64], Ids, NDArray[np.int64]] | None:
    """Starts of cells, distinct experts and sums, as `kernels.guess.sum_up` gives them; None: ask one by one.

    The predictor has then learned what it would have.
    """
    if not has_compiler():
        return None
    from sim.planning.kernels.guess import sum_up

    ids = _plain(trace.ids[run.token_rows], trace)
    said = _said(trace, run, first_moe, predictor, ids)
    return None if said is None else sum_up(ids, said, run.first_token, first_moe, trace.n_experts)


def _said(trace: RoutingTrace, run: Passes, first_moe: NDArray[np.int64], predictor: Predictor, ids: Ids) -> Ids | None:
    if type(predictor) is PerfectPredictor:
        return ids
    if type(predictor) is RecordedPredictor and trace.predicted is not None and trace.ahead:
        return _plain(trace.predicted[run.token_rows, 0], trace)
    if type(predictor) is RecallPredictor and 0 <= predictor.seed < 2**32:
        return _spoilt(run, first_moe, predictor, ids)
    return None


def _spoilt(run: Passes, first_moe: NDArray[np.int64], predictor: RecallPredictor, ids: Ids) -> Ids | None:
    from sim.planning.kernels.guess import spoil
    from sim.planning.kernels.pcg64 import gumbel, seeded, uniform

    seeds = (predictor.seed, 2, 1, 1)
    ours, numpys = seeded(np.array(seeds, np.uint64)), np.random.default_rng(seeds)
    if (uniform(ours), gumbel(ours)) != (numpys.random(), numpys.gumbel()):
        return None  # another NumPy than the one that was written after
    kept = np.array([predictor.kept(moe, ids.shape[2]) for moe in range(ids.shape[1])])
    log_of = np.log(np.arange(predictor.counts.max(initial=0) + ids[:, 0].size + 1) + 1.0)
    return spoil(ids, run.first_token, first_moe, kept, log_of, predictor.counts, predictor.seed)


def _plain(ids: ExpertIds, trace: RoutingTrace) -> Ids:
    """-1 for what is missing; raises FormatError for ids that no expert has."""
    missing = ids == trace.missing
    if (ids[~missing] >= trace.n_experts).any():
        trace.validate()
    plain = ids.astype(np.int32)
    plain[missing] = -1
    return plain
