"""ExpertUse: how often each expert was needed in a run, where it was found, and how long it was on the GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.metrics import uses
from sim.model import MoEModel
from sim.program import CPU
from sim.stays import stays
from sim.timeline import Timeline

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ExpertUse:
    """Of a run, arrays [MoE layer, expert]; a use is one expert in one layer of one forward pass, whatever its tokens.

    A use whose expert was neither resident nor prefetched when it was routed is a miss: the expert is `loaded` and
    runs on the GPU, or it runs `on_cpu`. Sums over all experts are those of `sim.metrics.tally`.
    `resident` is the share of the run in which the expert's weights were whole on the GPU, used or not.
    """

    uses: Counts
    tokens: Counts
    loaded: Counts
    on_cpu: Counts
    resident: NDArray[np.float64]

    @property
    def misses(self) -> Counts:
        """Uses that found the weights neither on the GPU nor on their way."""
        return self.loaded + self.on_cpu


def expert_use(timeline: Timeline) -> ExpertUse:
    """Count over a whole timeline, simulated or measured."""
    ops, model = timeline.schedule.ops, timeline.schedule.model
    op, hit = uses(ops)
    key = _keys(model, ops.layer[op], ops.expert[op])
    on_cpu = ops.lane[op] == timeline.schedule.lane_index.get(CPU, -1)

    def count(values: NDArray[Any]) -> Counts:
        return _sums(model, key, values).astype(np.int64)

    return ExpertUse(
        uses=count(np.ones(len(op))),
        tokens=count(ops.tokens[op]),
        loaded=count(~hit & ~on_cpu),
        on_cpu=count(~hit & on_cpu),
        resident=_resident_s(timeline) / (timeline.makespan_s or 1.0),
    )


def _resident_s(timeline: Timeline) -> NDArray[np.float64]:
    """Seconds on the GPU; weights that were given up are there no longer once the same expert is loaded again."""
    held, model = stays(timeline), timeline.schedule.model
    key = _keys(model, held.layer, held.expert)
    order = np.lexsort((held.asked_s, key))
    again_s = np.full(len(key), timeline.makespan_s)
    again_s[:-1] = np.where(np.diff(key[order]) == 0, held.asked_s[order][1:], timeline.makespan_s)
    there_s = np.minimum(held.until_s[order], again_s) - held.whole_s[order]
    return _sums(model, key[order], np.maximum(there_s, 0.0))


def _keys(model: MoEModel, layer: NDArray[Any], expert: NDArray[Any]) -> Counts:
    """Number of each (block, expert) among all of the model."""
    moe = np.full(model.n_layers, -1, np.int64)
    moe[list(model.moe_layers)] = np.arange(model.n_moe_layers)
    keys: Counts = moe[layer] * model.n_experts + expert
    return keys


def _sums(model: MoEModel, key: Counts, values: NDArray[Any]) -> NDArray[np.float64]:
    """Values summed by expert [MoE layer, expert]."""
    sums: NDArray[Any] = np.bincount(key, weights=values, minlength=model.n_slots_total)
    return sums.reshape(model.n_moe_layers, model.n_experts)
