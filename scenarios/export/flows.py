"""Flows of a trace: from each op to those that depend on it, and from its dispatch to each op."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.export.tracks import Slices
from scenarios.report.categories import DISPATCH
from sim.releases import NOTHING
from sim.schedule import Ops

KINDS = ("dependency", "dispatch", "waits for")
_DEPENDENCY, _DISPATCH, _WAITS_FOR = range(len(KINDS))


@dataclass(frozen=True)
class Flows:
    """Ends of flows, [end] arrays in order of the slice at which they stand; `kind` is an index of KINDS.

    An end binds to the innermost slice of its track that has begun, be it on the line before, and has not ended.
    """

    slice: NDArray[np.int64]
    flow: NDArray[np.int64]
    kind: NDArray[np.int64]
    begins: NDArray[np.bool_]
    at_ns: NDArray[np.int64]


def flows_of(ops: Ops, slices: Slices) -> Flows:
    """All flows that can be drawn, which takes two slices that take time.

    Perfetto turns a flow that ends in the earlier slice. A wait mostly begins before what it depends on: the flow then
    leads from the wait to that, and is called so.
    """
    is_dispatch = slices.category == DISPATCH
    of_op, of_dispatch = (_slice_of_op(slices, chosen, len(ops)) for chosen in (~is_dispatch, is_dispatch))
    source = np.concatenate([of_op[ops.deps.values], of_dispatch])
    target = np.concatenate([np.repeat(of_op, np.diff(ops.deps.offsets)), np.where(ops.lane == 0, NOTHING, of_op)])
    kind = np.repeat([_DEPENDENCY, _DISPATCH], [len(ops.deps.values), len(ops)])
    turned = slices.start_ns[source] > slices.start_ns[target]
    source, target = np.where(turned, target, source), np.where(turned, source, target)
    begin = slices.start_ns[source]
    end = np.maximum(slices.start_ns[target], begin + 1)  # no flow ends when it begins
    timed = slices.end_ns > slices.start_ns
    drawn = np.flatnonzero(
        (source >= 0) & (target >= 0) & timed[source] & timed[target] & (end < slices.end_ns[target])
    )
    where = np.concatenate([source[drawn], target[drawn]])
    order = np.argsort(where, kind="stable")
    return Flows(
        slice=where[order],
        flow=np.tile(drawn, 2)[order],
        kind=np.tile(np.where(turned, _WAITS_FOR, kind)[drawn], 2)[order],
        begins=np.repeat([True, False], len(drawn))[order],
        at_ns=np.concatenate([begin[drawn], end[drawn]])[order],
    )


def _slice_of_op(slices: Slices, chosen: NDArray[np.bool_], n_ops: int) -> NDArray[np.int64]:
    """Which of the chosen slices is that of each op, or NOTHING."""
    found = np.full(n_ops, NOTHING, np.int64)
    found[slices.op[chosen]] = np.flatnonzero(chosen)
    return found
