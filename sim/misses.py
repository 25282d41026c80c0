"""Rules for misses: what to do with an expert whose weights are not on the GPU."""

from __future__ import annotations

from sim.errors import InputError
from sim.kernel_cost import OpSize
from sim.program import CPU, D2H, GPU, H2D, Program
from sim.schedule import Kind, Reason
from sim.strategy import LayerPass, World


def stream(p: Program, now: LayerPass, expert: int, ready: int, *, blocking: bool = False) -> int:
    """Load through a placeholder slot, run on the GPU, keep nothing. `blocking`: the host waits for the copy."""
    load = p.load(now.layer, expert, after=[ready], reason=Reason.STREAM)
    if blocking:
        p.wait(load)
    done = p.expert(now.layer, expert, now.tokens_of[expert], after=[ready], reason=Reason.STREAM)
    p.drop(now.layer, expert)
    return done


def on_cpu(p: Program, now: LayerPass, expert: int, ready: int, *, blocking: bool = False) -> int:
    """Send the activations down, compute on the CPU, send the result up. `blocking`: the host waits for each."""
    result = to_cpu(p, now, expert, ready, blocking=blocking)
    up = from_cpu(p, now, expert, result)
    if blocking:
        p.wait(up)
    return up


def to_cpu(p: Program, now: LayerPass, expert: int, ready: int, *, blocking: bool = False) -> int:
    """The first two parts of `on_cpu`; the result is still on the CPU."""
    tokens = now.tokens_of[expert]
    down = p.send(D2H, tokens, layer=now.layer, after=[ready])
    if blocking:
        p.wait(down)
    result = p.expert(now.layer, expert, tokens, on=CPU, after=[down], reason=Reason.OFFLOAD)
    if blocking:
        p.wait(result)
    return result


def from_cpu(p: Program, now: LayerPass, expert: int, result: int) -> int:
    """Send the result of an expert on the CPU up; in a fifo, copies issued later wait for it."""
    return p.send(H2D, now.tokens_of[expert], layer=now.layer, after=[result], priority=-1)


def cpu_is_cheaper(world: World, layer: int, expert: int, tokens: int) -> bool:
    """Whether one expert is done sooner on the CPU than by loading it and running it on the GPU."""
    costs = world.costs
    if costs is None:
        raise InputError(
            "a strategy that compares CPU and GPU needs a machine", field="machine", remedy="name one in the scenario"
        )
    size = OpSize(layer, expert, tokens=tokens)
    weights = OpSize(layer, expert, size_bytes=world.model.expert_bytes(world.precisions.experts))
    on_gpu = costs.op(Kind.LOAD, H2D, weights).seconds + costs.op(Kind.EXPERT, GPU, size).seconds
    return costs.op(Kind.EXPERT, CPU, size).seconds < on_gpu
