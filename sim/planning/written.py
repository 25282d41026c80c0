"""From decisions to the columns of a Schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.columnar import Ragged
from sim.model import MoEModel
from sim.planning.decisions import DEMAND, HIT, LATE, NOBODY, OFFLOAD, PREFETCHED, STREAM, Decisions
from sim.planning.guesses import Guesses
from sim.planning.passes import Passes
from sim.precision import PRECISIONS, Precisions
from sim.program import activation_bytes
from sim.schedule import Kind, Ops, Phase, Step
from sim.slots import Key

if TYPE_CHECKING:
    from sim.planning.kernels.issue import Written


def keys_of(model: MoEModel, experts: Sequence[Key]) -> NDArray[np.int32]:
    """Experts as numbers through all MoE blocks: MoE block × experts + expert."""
    blocks, each = np.array(experts, np.int64).reshape(-1, 2).T
    return (np.searchsorted(model.moe_layers, blocks) * model.n_experts + each).astype(np.int32)


def write(
    model: MoEModel, precisions: Precisions, run: Passes, guesses: Guesses, decided: Decisions,
    start_slots: Sequence[Key], n_slots: int,
) -> tuple[Ops, tuple[Step, ...]]:  # fmt: skip
    """All ops of a run, and its steps."""
    from sim.planning.kernels.buffers import filled
    from sim.planning.kernels.issue import Run, Written, issue

    n_ops, most_deps = _sizes(model, run, decided)
    out = Written(
        kind=np.empty(n_ops, np.uint8), lane=np.empty(n_ops, np.uint8), reason=np.empty(n_ops, np.uint8),
        layer=np.empty(n_ops, np.int16), expert=np.empty(n_ops, np.int16), slot=np.empty(n_ops, np.int32),
        tokens=np.empty(n_ops, np.int32), priority=np.empty(n_ops, np.int32), dep_starts=np.zeros(n_ops + 1, np.int64),
        deps=np.empty(most_deps, np.int64), first_op=np.empty(len(run), np.int64), written=np.zeros(2, np.int64),
    )  # fmt: skip
    issue(
        Run(
            phase=run.phase, sequences=run.sequences, tokens=run.tokens, first_block=run.first_block,
            starts=run.starts, experts=run.experts, counts=run.counts, fate=decided.fate, victim=decided.victim,
            guess_starts=guesses.starts, guessed=guesses.experts, brought=decided.brought,
            guess_victim=decided.guess_victim, moe_of=np.array([model.moe_index(i) for i in range(model.n_layers)]),
            moe_layers=np.array(model.moe_layers), n_experts=model.n_experts, shared=model.shared_hidden > 0,
            swap=decided.swap, blocking=decided.blocking,
        ),
        filled(n_slots, model.n_slots_total, keys_of(model, start_slots)),
        out,
    )  # fmt: skip
    each = (run.phase, run.group, run.sequences, run.tokens, out.first_op)
    steps = (Step(Phase(phase), *rest) for phase, *rest in zip(*(column.tolist() for column in each), strict=True))
    return _ops(model, precisions, run, out), tuple(steps)


def _sizes(model: MoEModel, run: Passes, decided: Decisions) -> tuple[int, int]:
    """How many ops there will be, and at most how many dependencies."""
    moe = np.array([model.moe_index(layer) >= 0 for layer in range(model.n_layers)])
    of_block = np.where(moe, 4 + (model.shared_hidden > 0), 2)  # attention, gate, wait, combine; attention, FFN
    of_pass = np.append(np.cumsum(of_block[::-1])[::-1], 0)[run.first_block] + 2  # head, wait
    of_fate = np.zeros(1 + max(HIT, PREFETCHED, OFFLOAD, DEMAND, LATE, STREAM), np.int64)
    of_fate[[HIT, PREFETCHED, OFFLOAD, DEMAND, LATE]] = 1, 1, 3, 2, 2
    of_fate[STREAM] = 2 + decided.blocking
    loads = int(np.isin(decided.fate, (DEMAND, LATE, STREAM)).sum() + decided.brought.sum())
    evicted = int((decided.victim != NOBODY).sum() + (decided.guess_victim != NOBODY).sum())
    n_ops = int(of_pass.sum() + of_fate[decided.fate].sum() + decided.brought.sum()) + decided.swap * evicted
    return n_ops, 2 * n_ops + 2 * loads + len(decided.fate)  # a load waits for three lanes and the gate, say


def _ops(model: MoEModel, precisions: Precisions, run: Passes, out: Written) -> Ops:
    """The columns that follow from those that were written."""
    kind, n_ops, codes = out.kind, len(out.kind), list(PRECISIONS)
    per_pass = np.diff(out.first_op, append=n_ops)
    step = np.repeat(np.arange(len(run), dtype=np.int32), per_pass)
    moves_weights = np.isin(kind, (Kind.LOAD, Kind.UNLOAD))
    precision = np.full(n_ops, codes.index(precisions.rest), np.uint8)
    precision[moves_weights | ((kind == Kind.EXPERT) & (out.expert >= 0))] = codes.index(precisions.experts)
    precision[kind == Kind.WAIT] = 0
    size_bytes = np.where(kind == Kind.SEND, out.tokens * np.int64(activation_bytes(model, precisions)), 0)
    size_bytes[moves_weights] = model.expert_bytes(precisions.experts)
    return Ops(
        kind=kind, lane=out.lane, reason=out.reason, precision=precision, step=step, layer=out.layer,
        expert=out.expert, slot=out.slot, tokens=out.tokens,
        context=np.where(kind == Kind.ATTENTION, run.context[step], 0).astype(np.int32),
        sequences=run.sequences[step].astype(np.int32), priority=out.priority, size_bytes=size_bytes,
        stated_s=np.full(n_ops, np.nan), deps=Ragged(out.dep_starts, out.deps[: out.dep_starts[-1]].copy()),
    )  # fmt: skip
