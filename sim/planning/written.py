"""From decisions to the columns of a Schedule."""

from __future__ import annotations

from collections.abc import Sequence

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


def keys_of(model: MoEModel, experts: Sequence[Key]) -> NDArray[np.int64]:
    """Experts as numbers through all MoE blocks: MoE block × experts + expert."""
    blocks, each = np.array(experts, np.int64).reshape(-1, 2).T
    return np.searchsorted(model.moe_layers, blocks) * model.n_experts + each


def write(
    model: MoEModel, precisions: Precisions, run: Passes, guesses: Guesses, decided: Decisions,
    start_slots: Sequence[Key], n_slots: int,
) -> tuple[Ops, tuple[Step, ...]]:  # fmt: skip
    """All ops of a run, and its steps."""
    from sim.planning.kernels.buffers import filled
    from sim.planning.kernels.issue import OP, PASS, Run, Written, issue

    n_ops, most_deps = _sizes(model, run, decided)
    each = np.empty(len(run), PASS)
    each["phase"], each["sequences"], each["tokens"] = run.phase, run.sequences, run.tokens
    each["first_block"] = run.first_block
    out = Written(np.empty(n_ops, OP), np.empty(most_deps, np.int64), np.zeros(2, np.int64))
    moe_of = np.array([model.moe_index(layer) for layer in range(model.n_layers)])
    issue(
        Run(
            each, run.starts, decided.routed, guesses.starts, decided.guessed, moe_of, np.array(model.moe_layers),
            model.n_experts, model.shared_hidden > 0, decided.swap, decided.blocking,
        ),
        filled(n_slots, model.n_slots_total, keys_of(model, start_slots)),
        out,
    )  # fmt: skip
    columns = (run.phase, run.group, run.sequences, run.tokens, each["first_op"])
    steps = (Step(Phase(phase), *rest) for phase, *rest in zip(*(column.tolist() for column in columns), strict=True))
    return _ops(model, precisions, run, each["first_op"], out.ops, out.deps), tuple(steps)


def _sizes(model: MoEModel, run: Passes, decided: Decisions) -> tuple[int, int]:
    """How many ops there will be, and at most how many dependencies."""
    moe = np.array([model.moe_index(layer) >= 0 for layer in range(model.n_layers)])
    of_block = np.where(moe, 4 + (model.shared_hidden > 0), 2)  # attention, gate, wait, combine; attention, FFN
    of_pass = np.append(np.cumsum(of_block[::-1])[::-1], 0)[run.first_block] + 2  # head, wait
    of_fate = np.zeros(1 + max(HIT, PREFETCHED, OFFLOAD, DEMAND, LATE, STREAM), np.int64)
    of_fate[[HIT, PREFETCHED, OFFLOAD, DEMAND, LATE]] = 1, 1, 3, 2, 2
    of_fate[STREAM] = 2 + decided.blocking
    fate, brought = decided.routed["fate"], int(decided.guessed["brought"].sum())
    loads = int(np.isin(fate, (DEMAND, LATE, STREAM)).sum()) + brought
    evicted = int((decided.routed["victim"] != NOBODY).sum() + (decided.guessed["victim"] != NOBODY).sum())
    n_ops = int(of_pass.sum() + of_fate[fate].sum()) + brought + decided.swap * evicted
    return n_ops, 2 * n_ops + 2 * loads + len(fate)  # a load waits for three lanes and the gate, say


def _ops(
    model: MoEModel, precisions: Precisions, run: Passes, first_op: NDArray[np.int64], written: NDArray[np.void],
    deps: NDArray[np.int64],
) -> Ops:  # fmt: skip
    """All columns: those that were written, and those that follow from them."""
    own = {name: np.ascontiguousarray(written[name]) for name in written.dtype.names or () if name != "deps"}
    kind, n_ops, codes = own["kind"], len(written), list(PRECISIONS)
    step = np.repeat(np.arange(len(run), dtype=np.int32), np.diff(first_op, append=n_ops))
    moves_weights = (kind == Kind.LOAD) | (kind == Kind.UNLOAD)
    precision = np.full(n_ops, codes.index(precisions.rest), np.uint8)
    precision[moves_weights | ((kind == Kind.EXPERT) & (own["expert"] >= 0))] = codes.index(precisions.experts)
    precision[kind == Kind.WAIT] = 0
    size_bytes = np.where(kind == Kind.SEND, own["tokens"] * np.int64(activation_bytes(model, precisions)), 0)
    size_bytes[moves_weights] = model.expert_bytes(precisions.experts)
    offsets = np.concatenate([[0], written["deps"]])
    return Ops(
        **own, precision=precision, step=step, context=np.where(kind == Kind.ATTENTION, run.context[step], 0),
        sequences=run.sequences[step], size_bytes=size_bytes, stated_s=np.full(n_ops, np.nan),
        deps=Ragged(offsets, deps[: offsets[-1]].copy()),
    )  # fmt: skip
