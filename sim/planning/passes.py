"""The forward passes of a run as arrays: what each asks of every block, without an object a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.model import MoEModel
from sim.schedule import Phase
from sim.trace import RoutingTrace
from sim.workload import Step, steps


@dataclass(frozen=True, eq=False, slots=True)
class Passes:
    """The forward passes of a trace run `batch` sequences at a time.

    [pass]: `phase`, `group` (which batch of sequences), `sequences`, `tokens`, mean `context`, and `first_block`, with
    which it begins. MoE block m of pass s is cell `s × n_moe + m`. Cell c needs the experts
    `experts[starts[c]:starts[c + 1]]`, ascending, for so many `counts` of its tokens; blocks that do not run need
    none. `token_rows` are the trace's rows in the order of passes: those of pass s begin at `first_token[s]`.
    """

    phase: NDArray[np.int64]
    group: NDArray[np.int64]
    sequences: NDArray[np.int32]
    tokens: NDArray[np.int64]
    context: NDArray[np.int32]
    first_block: NDArray[np.int64]
    starts: NDArray[np.int64]
    experts: NDArray[np.int32]
    counts: NDArray[np.int32]
    token_rows: NDArray[np.int64]
    first_token: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.phase)


def passes(trace: RoutingTrace, model: MoEModel, batch: int) -> Passes:
    """Lay out a run; raises InputError for a batch below 1 and FormatError for ids that no expert has."""
    each = list(steps(trace, batch))
    phase = np.array([Phase.PREFILL if step.phase == "prefill" else Phase.DECODE for step in each], np.int64)
    tokens, token_rows = _joined([step.token_rows for step in each])
    sequences, members = _joined([step.sequences for step in each])
    begins = np.cumsum(sequences) - sequences
    first_block = np.where(phase == Phase.DECODE, model.decode_layers.start, 0)
    starts, experts, counts = _routed(trace, token_rows, tokens, first_moe(model, first_block))
    return Passes(
        phase, members[begins] // batch, sequences.astype(np.int32), tokens, _mean_contexts(each), first_block,
        starts, experts, counts, token_rows, np.concatenate([[0], np.cumsum(tokens)]),
    )  # fmt: skip


def _joined(parts: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths and contents."""
    lengths = np.array([len(part) for part in parts], np.int64)
    return lengths, np.concatenate([np.zeros(0, np.int64), *parts])


def first_moe(model: MoEModel, first_block: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of the first MoE block from each block on."""
    return np.searchsorted(model.moe_layers, first_block)


def _mean_contexts(each: Sequence[Step]) -> NDArray[np.int32]:
    return np.array([round(float(step.context.mean())) for step in each], np.int32)


def _routed(
    trace: RoutingTrace, token_rows: NDArray[np.int64], tokens: NDArray[np.int64], first_moe: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Starts, distinct experts and their tokens of every cell."""
    ids = trace.ids[token_rows]
    present = ids != trace.missing
    if (ids[present] >= trace.n_experts).any():
        trace.validate()  # says which
    pass_of = np.repeat(np.arange(len(tokens)), tokens)
    moe = np.arange(trace.n_layers)
    present &= (moe >= first_moe[pass_of][:, None])[:, :, None]
    cell = pass_of[:, None] * trace.n_layers + moe
    named, counts = np.unique((cell[:, :, None] * trace.n_experts + ids)[present], return_counts=True)
    cells, experts = np.divmod(named, trace.n_experts)
    counts[tokens[cells // trace.n_layers] == 1] = 1  # whatever a token repeats
    starts = np.searchsorted(cells, np.arange(len(tokens) * trace.n_layers + 1))
    return starts.astype(np.int64), experts.astype(np.int32), counts.astype(np.int32)
