"""What a run's predictor says of every next block, asked once for all plans of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.foresight import Foresight
from sim.model import MoEModel
from sim.planning.passes import Passes, first_moe
from sim.planning.told import told_at_once
from sim.predict import Predictor
from sim.prediction import PredictionAccount
from sim.strategy import distinct
from sim.trace import RoutingTrace
from sim.workload import steps


@dataclass(frozen=True, eq=False, slots=True)
class Guesses:
    """Of cell c (see `Passes`) the distinct experts `experts[starts[c]:starts[c + 1]]`, those of most tokens first.

    They were asked for when the block before had been routed, so that nothing is guessed of a pass's first block.
    `account` is how true they were, as `PredictionAccount.to_meta` says it; empty if nothing was asked.
    """

    starts: NDArray[np.int64]
    experts: NDArray[np.int32]
    account: list[dict[str, Any]]


def no_guesses(run: Passes) -> Guesses:
    """Of a strategy that does not ask."""
    return Guesses(np.zeros_like(run.starts), np.zeros(0, np.int32), [])


def guesses(trace: RoutingTrace, model: MoEModel, batch: int, run: Passes, predictor: Predictor) -> Guesses:
    """Ask a predictor what a strategy would that asks for each next block, and let it learn between, as a plan does.

    Raises InputError for a predictor that has nothing to go by, or names experts that the model has not.
    """
    begins = first_moe(model, run.first_block)
    if (told := told_at_once(trace, run, begins, predictor)) is not None:
        starts, experts, sums = told
        account = PredictionAccount(trace.n_layers)
        if (begins + 1 < trace.n_layers).any():
            account.add_sums(1, sums)
        return Guesses(starts, experts, account.to_meta())
    foresight = Foresight(trace, predictor)
    said: list[list[int]] = []
    for _, begin in zip(foresight.walk(steps(trace, batch)), begins.tolist(), strict=True):
        said += [[]] * min(begin + 1, trace.n_layers)
        for moe in range(begin, trace.n_layers):
            foresight.route(moe)
            if moe + 1 < trace.n_layers:
                ids = foresight.predicted(moe + 1)
                said.append([] if ids is None else distinct(ids))
            foresight.observe(moe)
    starts = np.concatenate([[0], np.cumsum([len(experts) for experts in said], dtype=np.int64)])
    flat = np.array([expert for experts in said for expert in experts], np.int32)
    if flat.max(initial=0) >= model.n_experts:
        raise InputError(f"{model.name} has {model.n_experts} experts", field="predictor", value=int(flat.max()))
    return Guesses(starts, flat, foresight.account.to_meta())
