"""The ops that follow from decisions, in program order, with their slots and dependencies, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.planning.decisions import DEMAND, HIT, LATE, NOBODY, OFFLOAD, PREFETCHED, STREAM
from sim.planning.kernels.buffers import LANES, Buffers, give_up, take, use
from sim.program import CPU, D2H, GPU, H2D, HOST_LANE, default_lanes
from sim.schedule import NO_EXPERT, NO_SLOT, Kind, Phase, Reason

_NUMBER = {lane.name: i for i, lane in enumerate(default_lanes())}
_HOST, _GPU, _UP, _DOWN, _CPU = (_NUMBER[name] for name in (HOST_LANE, GPU, H2D, D2H, CPU))
_PREFETCH_PRIORITY, _RESULT_PRIORITY = 1, -1
_PREFILL = int(Phase.PREFILL)
_ATTENTION, _GATE, _EXPERT, _COMBINE, _HEAD = (int(Kind[name]) for name in "ATTENTION GATE EXPERT COMBINE HEAD".split())
_LOAD, _UNLOAD, _SEND, _WAIT = (int(Kind[name]) for name in "LOAD UNLOAD SEND WAIT".split())
_MODEL, _IS_HIT, _WAS_PREFETCHED = int(Reason.MODEL), int(Reason.HIT), int(Reason.PREFETCHED)
_FOR_DEMAND, _FOR_STREAM, _FOR_OFFLOAD = int(Reason.DEMAND), int(Reason.STREAM), int(Reason.OFFLOAD)
_FOR_PREFETCH, _FOR_SWAP = int(Reason.PREFETCH), int(Reason.SWAP)
_OPS, _DEPS = 0, 1
_NONE = -1


class Run(NamedTuple):
    """The passes, what was chosen and guessed in them and what was decided; see `Passes` and `Decisions`.

    `moe_of` [block] is -1 for a dense one.
    """

    phase: NDArray[np.int64]
    sequences: NDArray[np.int64]
    tokens: NDArray[np.int64]
    first_block: NDArray[np.int64]
    starts: NDArray[np.int64]
    experts: NDArray[np.int32]
    counts: NDArray[np.int32]
    fate: NDArray[np.int8]
    victim: NDArray[np.int32]
    guess_starts: NDArray[np.int64]
    guessed: NDArray[np.int32]
    brought: NDArray[np.bool_]
    guess_victim: NDArray[np.int32]
    moe_of: NDArray[np.int64]
    moe_layers: NDArray[np.int64]
    n_experts: int
    shared: bool
    swap: bool
    blocking: bool


class Written(NamedTuple):
    """Columns of ops that do not follow from others, dependencies, and the first op of each pass.

    `written` says how many ops and dependencies there are so far.
    """

    kind: NDArray[np.uint8]
    lane: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    layer: NDArray[np.int16]
    expert: NDArray[np.int16]
    slot: NDArray[np.int32]
    tokens: NDArray[np.int32]
    priority: NDArray[np.int32]
    dep_starts: NDArray[np.int64]
    deps: NDArray[np.int64]
    first_op: NDArray[np.int64]
    written: NDArray[np.int64]


@njit(cache=True)
def issue(run: Run, buffers: Buffers, out: Written) -> None:
    """Write all passes."""
    hidden = _NONE
    done = np.empty(run.n_experts + 1, np.int64)
    n_blocks = len(run.moe_of)
    for step in range(len(run.phase)):
        out.first_op[step] = out.written[_OPS]
        if run.phase[step] == _PREFILL:
            hidden = _NONE
        tokens = run.tokens[step]
        for layer in range(run.first_block[step], n_blocks):
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
            hidden = _model_op(out, _COMBINE, layer, tokens, _NONE if n_done else hidden)
        hidden = _model_op(out, _HEAD, n_blocks - 1, run.sequences[step], hidden)
        _wait(out, hidden)


@njit(cache=True)
def _block(
    run: Run, buffers: Buffers, out: Written, cell: int, layer: int, gate: int, done: NDArray[np.int64]
) -> int:
    """The routed experts of a block and the loads ahead; fills `done` with the results to combine, says how many."""
    first, last = run.starts[cell], run.starts[cell + 1]
    base = run.moe_of[layer] * run.n_experts
    n_done = 0
    for i in range(first, last):
        if run.fate[i] == OFFLOAD:
            _after(out, gate)
            sent = _send(out, _DOWN, layer, run.counts[i], 0)
            _after(out, sent)
            done[n_done] = _op(out, _EXPERT, _CPU, _FOR_OFFLOAD, layer, run.experts[i], NO_SLOT, run.counts[i], 0)
            n_done += 1
    for i in range(first, last):
        if run.fate[i] == DEMAND:
            _load(run, buffers, out, base + run.experts[i], run.victim[i], _FOR_DEMAND, 0)
    for at in range(n_done):
        _after(out, done[at])
        done[at] = _send(out, _UP, layer, out.tokens[done[at]], _RESULT_PRIORITY)
    if run.moe_of[layer] + 1 < len(run.moe_layers):
        for i in range(run.guess_starts[cell + 1], run.guess_starts[cell + 2]):
            if run.brought[i]:
                key = base + run.n_experts + run.guessed[i]
                _load(run, buffers, out, key, run.guess_victim[i], _FOR_PREFETCH, _PREFETCH_PRIORITY)
    for i in range(first, last):
        if run.fate[i] == HIT or run.fate[i] == PREFETCHED:  # noqa: PLR1714
            reason = _IS_HIT if run.fate[i] == HIT else _WAS_PREFETCHED
            done[n_done] = _on_gpu(run, buffers, out, layer, i, gate, reason)
            n_done += 1
    for i in range(first, last):
        if run.fate[i] == DEMAND:
            done[n_done] = _on_gpu(run, buffers, out, layer, i, gate, _FOR_DEMAND)
            n_done += 1
    for i in range(first, last):
        key = base + run.experts[i]
        if run.fate[i] == LATE:
            _load(run, buffers, out, key, run.victim[i], _FOR_DEMAND, 0)
            done[n_done] = _on_gpu(run, buffers, out, layer, i, gate, _FOR_DEMAND)
            n_done += 1
        elif run.fate[i] == STREAM:
            _after(out, gate)
            load = _load(run, buffers, out, key, NOBODY, _FOR_STREAM, 0)
            if run.blocking:
                _wait(out, load)
            done[n_done] = _on_gpu(run, buffers, out, layer, i, gate, _FOR_STREAM)
            give_up(buffers, key)
            n_done += 1
    return n_done


@njit(cache=True)
def _on_gpu(run: Run, buffers: Buffers, out: Written, layer: int, i: int, gate: int, reason: int) -> int:
    """Run a routed expert from its slot."""
    slot = buffers.slot_of[run.moe_of[layer] * run.n_experts + run.experts[i]]
    _after(out, gate)
    if buffers.source[slot] >= 0:
        _after(out, buffers.source[slot])
    use(buffers, slot, _GPU, out.written[_OPS])
    return _op(out, _EXPERT, _GPU, reason, layer, run.experts[i], slot, run.counts[i], 0)


@njit(cache=True)
def _load(run: Run, buffers: Buffers, out: Written, key: int, victim: int, reason: int, priority: int) -> int:
    """Bring a key, once its victim, if there is one, is gone; the slot's users have to end first."""
    if victim != NOBODY:
        if run.swap:
            slot = buffers.slot_of[victim]
            if buffers.source[slot] >= 0:
                _after(out, buffers.source[slot])
            use(buffers, slot, _DOWN, out.written[_OPS])
            _copy(run, out, _UNLOAD, _DOWN, _FOR_SWAP, victim, slot, priority)
        give_up(buffers, victim)
    slot = take(buffers, key)
    for place in range(LANES):
        if buffers.user[slot, place] >= 0:
            _after(out, buffers.last[slot, place])
    op = _copy(run, out, _LOAD, _UP, reason, key, slot, priority)
    use(buffers, slot, _UP, op)
    buffers.source[slot] = op
    return op


@njit(cache=True)
def _copy(run: Run, out: Written, kind: int, lane: int, reason: int, key: int, slot: int, priority: int) -> int:
    moe, expert = divmod(key, run.n_experts)
    return _op(out, kind, lane, reason, run.moe_layers[moe], expert, slot, 0, priority)


@njit(cache=True)
def _send(out: Written, lane: int, layer: int, tokens: int, priority: int) -> int:
    return _op(out, _SEND, lane, _FOR_OFFLOAD, layer, NO_EXPERT, NO_SLOT, tokens, priority)


@njit(cache=True)
def _model_op(out: Written, kind: int, layer: int, tokens: int, dep: int) -> int:
    """The model's own work on the GPU, after `dep` if there is one."""
    if dep != _NONE:
        _after(out, dep)
    return _op(out, kind, _GPU, _MODEL, layer, NO_EXPERT, NO_SLOT, tokens, 0)


@njit(cache=True)
def _wait(out: Written, dep: int) -> None:
    _after(out, dep)
    _op(out, _WAIT, _HOST, _MODEL, -1, NO_EXPERT, NO_SLOT, 0, 0)


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
    out.kind[op], out.lane[op], out.reason[op] = kind, lane, reason
    out.layer[op], out.expert[op], out.slot[op] = layer, expert, slot
    out.tokens[op], out.priority[op] = tokens, priority
    out.dep_starts[op + 1] = out.written[_DEPS]
    out.written[_OPS] = op + 1
    return int(op)
