"""Rules for misses: what to do with an expert whose weights are not on the GPU."""

from __future__ import annotations

from collections.abc import Container

from sim.cost import CostModel
from sim.errors import InputError
from sim.kernel_cost import OpSize
from sim.program import CPU, D2H, GPU, H2D, Program
from sim.schedule import Kind, Reason
from sim.strategy import LayerPass, World, resident_expert


def stream(p: Program, now: LayerPass, expert: int, ready: int, *, blocking: bool = False) -> int:
    """Load through a placeholder slot, run on the GPU, keep nothing. `blocking`: the host waits for the copy."""
    load = p.load(now.layer, expert, after=[ready], reason=Reason.STREAM)
    if blocking:
        p.wait(load)
    done = p.expert(now.layer, expert, now.tokens_of[expert], after=[ready], reason=Reason.STREAM)
    p.drop(now.layer, expert)
    return done


def run_or_stream(
    p: Program, now: LayerPass, expert: int, ready: int, *, blocking: bool = False, reason: Reason = Reason.HIT
) -> int:
    """On the GPU in any case: from its slot if it has one (for `reason`), else through a placeholder."""
    if p.resident(now.layer, expert):
        return resident_expert(p, now, expert, ready, reason)
    return stream(p, now, expert, ready, blocking=blocking)


def on_cpu(p: Program, now: LayerPass, expert: int, ready: int, *, blocking: bool = False) -> int:
    """Send the activations down, compute on the CPU, send the result up. `blocking`: the host waits for each."""
    result = to_cpu(p, now, expert, ready, blocking=blocking)
    up = from_cpu(p, now, expert, result)
    if blocking:
        p.wait(up)
    return up


def to_cpu(
    p: Program, now: LayerPass, expert: int, ready: int, *, blocking: bool = False, reason: Reason = Reason.OFFLOAD
) -> int:
    """The first two parts of `on_cpu`; the result is still on the CPU."""
    tokens = now.tokens_of[expert]
    down = p.send(D2H, tokens, layer=now.layer, after=[ready], reason=reason)
    if blocking:
        p.wait(down)
    result = p.expert(now.layer, expert, tokens, on=CPU, after=[down], reason=reason)
    if blocking:
        p.wait(result)
    return result


def from_cpu(p: Program, now: LayerPass, expert: int, result: int, *, reason: Reason = Reason.OFFLOAD) -> int:
    """Send the result of an expert on the CPU up; in a fifo, copies issued later wait for it."""
    return p.send(H2D, now.tokens_of[expert], layer=now.layer, after=[result], reason=reason, priority=-1)


def side_by_side(
    p: Program, now: LayerPass, on_host: Container[int], ready: int, *, blocking: bool, loaded: Container[int] = ()
) -> list[int]:
    """A second thread works through the experts of `on_host` on the CPU while the GPU runs and streams the others.

    Both in ascending order. `blocking`: the host waits for each copy of weights, and at last for the CPU's results.
    `loaded`: experts that this layer has just brought to the GPU for good.
    """
    results = {e: to_cpu(p, now, e, ready) for e in now.tokens_of if e in on_host}
    done = [
        run_or_stream(p, now, e, ready, blocking=blocking, reason=Reason.DEMAND if e in loaded else Reason.HIT)
        for e in now.tokens_of
        if e not in results
    ]
    up = [from_cpu(p, now, e, result) for e, result in results.items()]
    if blocking and up:
        p.wait(*up)
    return done + up


def cpu_is_cheaper(world: World, layer: int, expert: int, tokens: int) -> bool:
    """Whether one expert is done sooner on the CPU than by loading it and running it on the GPU."""
    costs = machine_costs(world)
    size = OpSize(layer, expert, tokens=tokens)
    weights = OpSize(layer, expert, size_bytes=world.model.expert_bytes(world.precisions.experts))
    on_gpu = costs.op(Kind.LOAD, H2D, weights).seconds + costs.op(Kind.EXPERT, GPU, size).seconds
    return costs.op(Kind.EXPERT, CPU, size).seconds < on_gpu


def machine_costs(world: World) -> CostModel:
    """The costs that the world knows; raises InputError if it was planned without a machine."""
    if world.costs is None:
        raise InputError(
            "a strategy that compares CPU and GPU needs a machine", field="machine", remedy="name one in the scenario"
        )
    return world.costs
