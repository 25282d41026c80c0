"""Needs: what a run has to compute whatever the strategy, read off a Schedule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.schedule import Kind, Ops, Schedule

_MODEL_KINDS = (Kind.ATTENTION, Kind.GATE, Kind.COMBINE, Kind.HEAD)


@dataclass(frozen=True)
class Needs:
    """The model's own ops and the uses of routed experts, once each.

    `model_ops` are ops of the schedule: one of each kind for a block of a step (a second gate on a guess is not
    needed). A visit is one MoE block of one step, numbered in order; a use is one routed expert of a visit, however
    many tokens it has: `visit`, `layer`, `expert`, `tokens`, `sequences` and `op` (one that runs it) are [use], in
    order of visits. A model op is part of a visit (gate, shared expert: `visit_of` [model op], else -1), or comes when
    `visits_before` of them are over.
    """

    model_ops: NDArray[np.intp]
    visit_of: NDArray[np.intp]
    visits_before: NDArray[np.intp]
    n_visits: int
    visit: NDArray[np.intp]
    layer: NDArray[np.int64]
    expert: NDArray[np.int64]
    tokens: NDArray[np.int64]
    sequences: NDArray[np.int64]
    op: NDArray[np.intp]

    @property
    def n_uses(self) -> int:
        """How many uses there are: distinct experts in each visit, not top-k times tokens."""
        return len(self.visit)


def needs(schedule: Schedule) -> Needs:
    """What this schedule computes; of a strategy that follows the router, this is what the trace asks for."""
    ops, n_layers = schedule.ops, schedule.model.n_layers
    block = ops.step.astype(np.int64) * n_layers + ops.layer  # a number for each block of each step
    routed = np.flatnonzero((ops.kind == Kind.EXPERT) & (ops.expert >= 0))
    model_ops = _once(ops, np.flatnonzero(np.isin(ops.kind, _MODEL_KINDS) | _own_ffn(ops)), block)
    kind, at = ops.kind[model_ops], block[model_ops]
    inside = np.isin(ops.layer[model_ops], schedule.model.moe_layers) & np.isin(kind, (Kind.GATE, Kind.EXPERT))
    visits = np.unique(np.concatenate((at[inside], block[routed])))
    after = np.isin(kind, (Kind.COMBINE, Kind.HEAD))
    use, first, which = np.unique(
        block[routed] * schedule.model.n_experts + ops.expert[routed], return_index=True, return_inverse=True
    )
    op = routed[first]
    return Needs(
        model_ops=model_ops,
        visit_of=np.where(inside, np.searchsorted(visits, at), -1),
        visits_before=np.searchsorted(visits, at + after),
        n_visits=len(visits),
        visit=np.searchsorted(visits, block[op]),
        layer=ops.layer[op].astype(np.int64),
        expert=ops.expert[op].astype(np.int64),
        tokens=np.bincount(which, ops.tokens[routed], len(use)).astype(np.int64),
        sequences=ops.sequences[op].astype(np.int64),
        op=op,
    )


def _own_ffn(ops: Ops) -> NDArray[np.bool_]:
    """Shared experts and dense FFNs."""
    own: NDArray[np.bool_] = (ops.kind == Kind.EXPERT) & (ops.expert < 0)
    return own


def _once(ops: Ops, chosen: NDArray[np.intp], block: NDArray[np.int64]) -> NDArray[np.intp]:
    """The first of the chosen ops of each kind and block."""
    _, first = np.unique(block[chosen] * len(Kind) + ops.kind[chosen], return_index=True)
    return np.sort(chosen[first])
