"""What to buy first: how much faster the best strategy would be with half as much again of one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scenarios.adjust import adjusted, faster_memory
from scenarios.advise.question import Ground
from scenarios.advise.trial import Tried, entry, run_on
from scenarios.datasheet import GIB
from scenarios.whatif.trial import Trial as Changed
from sim.machine import Machine
from sim.memory import GPU_MEMORY

FACTOR = 1.5
_WORTH = 1.03  # a gain below this is none


@dataclass(frozen=True)
class Lever:
    """A part of the machine; `gain` is the decode rate with `FACTOR` times as much of it, over the present one."""

    name: str
    gain: float
    for_sale: bool = True


def levers(ground: Ground, weights: str, best: Tried) -> list[Lever]:
    """All of them, the greatest gain first."""
    kept = best.run.cached if best.contender.sized else "auto"
    trial = Changed(ground.case(weights, steady=best.contender.steady), entry(ground, weights, best.contender, kept))
    found = [Lever("GPU memory", _with_more_memory(ground, weights, best) / best.speed)]
    for name, (changes, sold) in _changes(ground.machine).items():
        gain = trial.on(adjusted(ground.machine, changes)).over(trial.base).decode
        found.append(Lever(name, gain or 1.0, sold))
    return sorted(found, key=lambda lever: -lever.gain)


def first(found: Sequence[Lever]) -> Lever | None:
    """The one to buy; None if none that is for sale gains anything to speak of."""
    best = max((lever for lever in found if lever.for_sale), key=lambda lever: lever.gain)
    return best if best.gain >= _WORTH else None


def _changes(machine: Machine) -> dict[str, tuple[Mapping[str, float], bool]]:
    """What becomes of the machine's numbers, and whether that is a thing to buy."""
    return {
        "GPU speed": ({"gpu.speed": FACTOR}, True),
        "PCIe link": ({"link.speed": FACTOR}, True),
        "host memory bandwidth": (faster_memory(machine, FACTOR), True),
        "CPU": ({"cpu.speed": FACTOR}, True),
        "host software": ({"dispatch.speed": FACTOR}, False),
    }


def _with_more_memory(ground: Ground, weights: str, best: Tried) -> float:
    """The decode rate with as many experts cached as then fit."""
    gib = FACTOR * ground.machine.memory[GPU_MEMORY].usable_bytes / GIB
    larger = ground.on(adjusted(ground.machine, {"gpu.memory_gib": gib}))
    return Tried(best.contender, run_on(larger, weights, best.contender)).speed
