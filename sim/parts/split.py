"""Splits: which of the experts that are not on the GPU the CPU computes, and which are copied to the GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.kernel_cost import OpSize
from sim.parts.misses import machine_costs
from sim.program import CPU, H2D
from sim.schedule import Kind
from sim.strategy import World


@dataclass(frozen=True)
class Latencies:
    """What an engine reckons with: seconds of one token of an expert on the CPU, and of one expert's load."""

    cpu_s: float
    load_s: float


def latencies(world: World, cpu_ms: float | None, load_ms: float | None) -> Latencies:
    """The two constants, in seconds; those not given are what the machine takes, as the engine's own profile says.

    Raises InputError if one is not given and there is no machine.
    """
    return Latencies(
        _cpu_s(world) if cpu_ms is None else cpu_ms / 1e3, _load_s(world) if load_ms is None else load_ms / 1e3
    )


def one_by_one(misses: Mapping[int, int], known: Latencies) -> set[int]:
    """To the CPU goes each expert whose tokens take less there than its load (Fiddler's and DAOP's released code).

    `misses`: tokens of each expert. It is what minimises the sum of all costs, side by side or not.
    """
    return {expert for expert, tokens in misses.items() if tokens * known.cpu_s < known.load_s}


def balanced(misses: Mapping[int, int], known: Latencies) -> set[int]:
    """To the CPU goes what makes the slower of the two sides fastest (as Fiddler's and DAOP's papers say).

    All loads cost the same, so that for any number of them those of most tokens are best; of equals, the fewest loads.
    """
    ordered = sorted(misses, key=lambda expert: -misses[expert])
    tokens = sum(misses.values())
    best_s, best = tokens * known.cpu_s, 0
    for n_loads, expert in enumerate(ordered, start=1):
        tokens -= misses[expert]
        slower_s = max(n_loads * known.load_s, tokens * known.cpu_s)
        if slower_s < best_s:
            best_s, best = slower_s, n_loads
    return set(ordered[best:])


def _cpu_s(world: World) -> float:
    size = OpSize(world.model.moe_layers[0], 0, tokens=1)
    return machine_costs(world).op(Kind.EXPERT, CPU, size).seconds


def _load_s(world: World) -> float:
    size_bytes = world.model.expert_bytes(world.precisions.experts)
    weights = OpSize(world.model.moe_layers[0], 0, size_bytes=size_bytes)
    return machine_costs(world).op(Kind.LOAD, H2D, weights).seconds
