"""Small synthetic schedules whose execution shows what software costs and what lanes share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hwexec.fingerprint import cache_bytes
from sim.model import MoEModel
from sim.precision import Precisions
from sim.program import CPU, D2H, H2D, Program, default_lanes
from sim.schedule import Phase, Schedule

_BLOCKS = 3
_CONTEXT = 64


def probe_model(model: MoEModel) -> MoEModel:
    """The model cut down to its first few MoE blocks, so that its schedules need little memory."""
    n_layers = min(model.n_layers, model.moe_layers[0] + _BLOCKS)
    return replace(
        model,
        n_layers=n_layers,
        moe_layers=tuple(layer for layer in model.moe_layers if layer < n_layers),
        sliding_layers=tuple(layer for layer in model.sliding_layers if layer < n_layers),
        published_params=None,
        published_active_params=None,
    )


def decode_like(model: MoEModel, precisions: Precisions, steps: int) -> Schedule:
    """Decoding in which every block has an expert that is there, one that is fetched and one for the CPU.

    Every fourth step the host waits for each of the CPU's ops and swaps what it fetches.
    """
    resident = [(layer, 0) for layer in model.moe_layers]
    p = Program(model, precisions, default_lanes(), n_slots=len(resident) + 1, start_slots=resident)
    other, third = 1 % model.n_experts, 2 % model.n_experts
    for step in range(steps):
        p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=_CONTEXT)
        for layer in range(model.n_layers):
            p.attention(layer)
            if model.moe_index(layer) < 0:
                p.hidden = p.shared(layer)
            elif other:
                _moe_block(p, layer, other, third, blocking=step % 4 == 1)
        p.wait(p.head())
    return p.schedule(strategy="probe")


def _moe_block(p: Program, layer: int, fetched: int, offloaded: int, *, blocking: bool) -> None:
    gate = p.gate(layer)
    p.wait(gate)
    done = [p.expert(layer, 0, 1, after=[gate])]
    p.load(layer, fetched, after=[gate])
    done.append(p.expert(layer, fetched, 1, after=[gate]))
    if blocking:
        p.unload(layer, fetched, after=[done[-1]])
    else:
        p.drop(layer, fetched)
    down = p.send(D2H, 1, layer=layer, after=[gate])
    if blocking:
        p.wait(down)
    result = p.expert(layer, offloaded, 1, on=CPU, after=[down])
    if blocking:
        p.wait(result)
    done.append(p.send(H2D, 1, layer=layer, after=[result]))
    if p.model.shared_hidden:
        done.append(p.shared(layer, after=[gate]))
    p.combine(layer, after=done)


def side_by_side(
    model: MoEModel, precisions: Precisions, counts: Mapping[str, int], *, copy_priority: bool = False
) -> Schedule:
    """Independent work for some of `gpu`, `cpu`, `copy` and `down`: so many experts computed, loaded or unloaded."""
    keys = [(layer, expert) for layer in model.moe_layers for expert in range(model.n_experts)]
    rotating = min(len(keys) - 1, 2 + 2 * cache_bytes() // model.expert_bytes(precisions.experts))
    resident, elsewhere = keys[:rotating], keys[rotating : 2 * rotating]
    lanes = default_lanes(copy_priority=copy_priority)
    p = Program(model, precisions, lanes, n_slots=rotating + 3, start_slots=resident)
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=_CONTEXT)
    for i in range(max(counts.values())):
        if i < counts.get("gpu", 0):
            p.expert(*resident[i % rotating], 1)
        if i < counts.get("cpu", 0):
            p.expert(*keys[-1 - i % rotating], 1, on=CPU)
        if i < counts.get("down", 0):
            p.unload(*resident[i % rotating], keep=True)
        if i < counts.get("copy", 0):
            key = elsewhere[i % len(elsewhere)]
            p.load(*key)
            p.drop(*key)
    return p.schedule(strategy="probe")
