"""Joining traces of one model: tasks after each other, or in turns, to see how mixed requests use a cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.errors import InputError
from sim.trace import RoutingTrace


def join(traces: Sequence[RoutingTrace], *, in_turns: bool = False) -> RoutingTrace:
    """One trace of all sequences: all of the first trace, then all of the next, or one of each in turns.

    In turns, a trace that has no more sequences is passed over. Weights, token ids and predictions are kept if all
    traces have them, predictions as far ahead as all reach. Raises InputError if the traces are of different models.
    """
    for name in ("n_layers", "n_experts", "top_k"):
        values = [getattr(trace, name) for trace in traces]
        if len(set(values)) > 1:
            raise InputError("traces of different models cannot be joined", field=name, value=values)
    if not sum(trace.n_sequences for trace in traces):
        raise InputError(
            "there is nothing to join", field="n_sequences", value=0, remedy="give traces that hold tokens"
        )
    order = [(number, i) for number, trace in enumerate(traces) for i in range(trace.n_sequences)]
    if in_turns:
        order.sort(key=lambda place: (place[1], place[0]))
    parts = [traces[number].sequence(i) for number, i in order]
    ahead = min(trace.ahead for trace in traces)
    return RoutingTrace(
        ids=np.concatenate([part.ids for part in parts]),
        offsets=np.cumsum([0, *(part.n_tokens for part in parts)]).astype(np.int64),
        prompt_tokens=np.concatenate([part.prompt_tokens for part in parts]),
        n_experts=traces[0].n_experts,
        weights=_all([part.weights for part in parts]),
        provenance={"joined": [trace.provenance for trace in traces], "in_turns": in_turns},
        token_ids=_all([part.token_ids for part in parts]),
        predicted=_all([None if part.predicted is None else part.predicted[:, :ahead] for part in parts])
        if ahead
        else None,
    )


def _all(columns: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The columns as one, if every part has it."""
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if present and len(present) == len(columns) else None
