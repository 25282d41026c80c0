"""The ops that follow from decisions, in program order, with their slots and dependencies, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.planning.decisions import DEMAND, HIT, LATE, NOBODY, OFFLOAD, PREFETCHED, STREAM
from sim.planning.kernels.buffers import LANES, NOTHING, Buffers, give_up, take, use
from sim.planning.kernels.numbers import number
from sim.program import CPU, D2H, GPU, H2D, HOST_LANE, default_lanes
from sim.schedule import NO_EXPERT, NO_SLOT, Kind, Phase, Reason

_LANES = {lane.name: i for i, lane in enumerate(default_lanes())}
_HOST, _GPU, _UP, _DOWN, _CPU = (number(_LANES[name]) for name in (HOST_LANE, GPU, H2D, D2H, CPU))
_ATTENTION, _GATE, _EXPERT, _COMBINE, _HEAD = (
    number(kind) for kind in (Kind.ATTENTION, Kind.GATE, Kind.EXPERT, Kind.COMBINE, Kind.HEAD)
)
_LOAD, _UNLOAD, _SEND, _WAIT = (number(kind) for kind in (Kind.LOAD, Kind.UNLOAD, Kind.SEND, Kind.WAIT))
_MODEL, _IS_HIT, _WAS_PREFETCHED = (number(reason) for reason in (Reason.MODEL, Reason.HIT, Reason.PREFETCHED))
_ON_DEMAND, _TO_STREAM, _TO_OFFLOAD, _TO_PREFETCH, _TO_SWAP = (
    number(reason) for reason in (Reason.DEMAND, Reason.STREAM, Reason.OFFLOAD, Reason.PREFETCH, Reason.SWAP)
)
_PREFILL = number(Phase.PREFILL)
_NO_EXPERT, _NO_SLOT, _NO_LAYER, _NO_OP, _NOBODY = (number(n) for n in (NO_EXPERT, NO_SLOT, -1, -1, NOBODY))
_AT_ONCE, _PREFETCH_PRIORITY, _RESULT_PRIORITY = number(0), number(1), number(-1)
_NO_TOKENS = number(0)
_OPS, _DEPS = 0, 1

PASS = np.dtype([(name, np.int64) for name in ("phase", "sequences", "tokens", "first_block", "first_op")], align=True)
OP = np.dtype(
    [
        ("kind", np.uint8), ("lane", np.uint8), ("reason", np.uint8), ("layer", np.int16), ("expert", np.int16),
        ("slot", np.int32), ("tokens", np.int32), ("priority", np.int32), ("deps", np.int64),
    ],
    align=True,
)  # fmt: skip
"""What of an op does not follow from the rest of it; `deps` is where those of the next op begin."""


class Run(NamedTuple):
    """The passes, and what was routed, guessed and decided in them: see `Passes` and `Decisions`.

    `moe_of` [block] is -1 for a dense one.
    """

    passes: NDArray[np.void]
    starts: NDArray[np.int64]
    routed: NDArray[np.void]
    guess_starts: NDArray[np.int64]
    guessed: NDArray[np.void]
    moe_of: NDArray[np.int64]
    moe_layers: NDArray[np.int64]
    n_experts: int
    shared: bool
    swap: bool
    blocking: bool


class Written(NamedTuple):
    """Ops and dependencies, and how many of each there are so far."""

    ops: NDArray[np.void]
    deps: NDArray[np.int64]
    written: NDArray[np.int64]


@njit(cache=True)
def issue(run: Run, buffers: Buffers, out: Written) -> None:
    """Write all passes."""
    hidden = _NO_OP
    done = np.empty(run.n_experts + 1, np.int64)
    n_blocks = len(run.moe_of)
    for step in range(len(run.passes)):
        row = run.passes[step]
        row.first_op = out.written[_OPS]
        if row.phase == _PREFILL:
            hidden = _NO_OP
        tokens = row.tokens
        for layer in range(row.first_block, n_blocks):
            hidden = _model_op(out, _ATTENTION, layer, tokens, hidden)
            moe = run.moe_of[layer]
            if moe < 0:
                hidden = _model_op(out, _EXPERT, layer, tokens, hidden)
                continue
            gate = _model_op(out, _GATE, layer, tokens, hidden)
            _wait(out, gate)
            n_done = _block(run, buffers, out, step * len(run.moe_layers) + moe, layer, gate, done)
            if run.shared:
                done[n_done] = _model_op(out, _EXPERT, layer, tokens, gate)
                n_done += 1
            for i in range(n_done):
                _after(out, done[i])
            hidden = _model_op(out, _COMBINE, layer, tokens, _NO_OP if n_done else hidden)
        hidden = _model_op(out, _HEAD, n_blocks - 1, row.sequences, hidden)
        _wait(out, hidden)


@njit(cache=True)
def _block(run: Run, buffers: Buffers, out: Written, cell: int, layer: int, gate: int, done: NDArray[np.int64]) -> int:
    """The routed experts of a block and the loads ahead; fills `done` with the results to combine, says how many."""
    n_done = _copies(run, buffers, out, cell, layer, gate, done)
    for fate, reason in ((HIT, _IS_HIT), (DEMAND, _ON_DEMAND)):
        for i in range(run.starts[cell], run.starts[cell + 1]):
            row = run.routed[i]
            if row.fate == fate or (row.fate == PREFETCHED and fate == HIT):
                why = _WAS_PREFETCHED if row.fate == PREFETCHED else reason
                done[n_done] = _on_gpu(run, buffers, out, layer, i, gate, why)
                n_done += 1
    for i in range(run.starts[cell], run.starts[cell + 1]):
        row, key = run.routed[i], run.moe_of[layer] * run.n_experts + run.routed[i].expert
        if row.fate == LATE:
            _load(run, buffers, out, key, row.victim, _ON_DEMAND, _AT_ONCE)
            done[n_done] = _on_gpu(run, buffers, out, layer, i, gate, _ON_DEMAND)
            n_done += 1
        elif row.fate == STREAM:
            _after(out, gate)
            load = _load(run, buffers, out, key, _NOBODY, _TO_STREAM, _AT_ONCE)
            if run.blocking:
                _wait(out, load)
            done[n_done] = _on_gpu(run, buffers, out, layer, i, gate, _TO_STREAM)
            give_up(buffers, key)
            n_done += 1
    return n_done


@njit(cache=True)
def _copies(run: Run, buffers: Buffers, out: Written, cell: int, layer: int, gate: int, done: NDArray[np.int64]) -> int:
    """What overlaps the rest of a block: its experts on the CPU, its first loads, and those for the next one."""
    first, last = run.starts[cell], run.starts[cell + 1]
    base = run.moe_of[layer] * run.n_experts
    n_done = at = 0
    for i in range(first, last):
        row = run.routed[i]
        if row.fate == OFFLOAD:
            _after(out, gate)
            sent = _send(out, _DOWN, layer, row.tokens, _AT_ONCE)
            _after(out, sent)
            done[n_done] = _op(out, _EXPERT, _CPU, _TO_OFFLOAD, layer, row.expert, _NO_SLOT, row.tokens, _AT_ONCE)
            n_done += 1
    for i in range(first, last):
        if run.routed[i].fate == DEMAND:
            _load(run, buffers, out, base + run.routed[i].expert, run.routed[i].victim, _ON_DEMAND, _AT_ONCE)
    for i in range(first, last):
        if run.routed[i].fate == OFFLOAD:
            _after(out, done[at])
            done[at] = _send(out, _UP, layer, run.routed[i].tokens, _RESULT_PRIORITY)
            at += 1
    if run.moe_of[layer] + 1 < len(run.moe_layers):
        for i in range(run.guess_starts[cell + 1], run.guess_starts[cell + 2]):
            row = run.guessed[i]
            if row.brought:
                key = base + run.n_experts + row.expert
                _load(run, buffers, out, key, row.victim, _TO_PREFETCH, _PREFETCH_PRIORITY)
    return n_done


@njit(cache=True)
def _on_gpu(run: Run, buffers: Buffers, out: Written, layer: int, i: int, gate: int, reason: int) -> int:
    """Run a routed expert from its slot."""
    slot = buffers.slot_of[run.moe_of[layer] * run.n_experts + run.routed[i].expert]
    _after(out, gate)
    if buffers.slots[slot].source != NOTHING:
        _after(out, buffers.slots[slot].source)
    use(buffers, slot, _GPU, out.written[_OPS])
    return _op(out, _EXPERT, _GPU, reason, layer, run.routed[i].expert, slot, run.routed[i].tokens, _AT_ONCE)


@njit(cache=True)
def _load(run: Run, buffers: Buffers, out: Written, key: int, victim: int, reason: int, priority: int) -> int:
    """Bring a key, once its victim, if there is one, is gone; the slot's users have to end first."""
    if victim != _NOBODY:
        if run.swap:
            slot = buffers.slot_of[victim]
            if buffers.slots[slot].source != NOTHING:
                _after(out, buffers.slots[slot].source)
            use(buffers, slot, _DOWN, out.written[_OPS])
            _copy(run, out, _UNLOAD, _DOWN, _TO_SWAP, victim, slot, priority)
        give_up(buffers, victim)
    slot = take(buffers, key)
    row = buffers.slots[slot]
    for place in range(LANES):
        if row.lane[place] != NOTHING:
            _after(out, row.last[place])
    op = _copy(run, out, _LOAD, _UP, reason, key, slot, priority)
    use(buffers, slot, _UP, op)
    row.source = op
    return op


@njit(cache=True)
def _copy(run: Run, out: Written, kind: int, lane: int, reason: int, key: int, slot: int, priority: int) -> int:
    moe, expert = divmod(key, run.n_experts)
    return _op(out, kind, lane, reason, run.moe_layers[moe], expert, slot, _NO_TOKENS, priority)


@njit(cache=True)
def _send(out: Written, lane: int, layer: int, tokens: int, priority: int) -> int:
    return _op(out, _SEND, lane, _TO_OFFLOAD, layer, _NO_EXPERT, _NO_SLOT, tokens, priority)


@njit(cache=True)
def _model_op(out: Written, kind: int, layer: int, tokens: int, dep: int) -> int:
    """The model's own work on the GPU, after `dep` if there is one."""
    if dep != _NO_OP:
        _after(out, dep)
    return _op(out, kind, _GPU, _MODEL, layer, _NO_EXPERT, _NO_SLOT, tokens, _AT_ONCE)


@njit(cache=True)
def _wait(out: Written, dep: int) -> None:
    _after(out, dep)
    _op(out, _WAIT, _HOST, _MODEL, _NO_LAYER, _NO_EXPERT, _NO_SLOT, _NO_TOKENS, _AT_ONCE)


@njit(cache=True)
def _after(out: Written, dep: int) -> None:
    """The next op depends on that one."""
    out.deps[out.written[_DEPS]] = dep
    out.written[_DEPS] += 1


@njit(cache=True)
def _op(
    out: Written, kind: int, lane: int, reason: int, layer: int, expert: int, slot: int, tokens: int, priority: int
) -> int:
    """Write an op, whose dependencies have just been named; returns its number."""
    op = out.written[_OPS]
    row = out.ops[op]
    row.kind, row.lane, row.reason, row.layer, row.expert = kind, lane, reason, layer, expert
    row.slot, row.tokens, row.priority, row.deps = slot, tokens, priority, out.written[_DEPS]
    out.written[_OPS] = op + 1
    return int(op)
