"""fiddler: CPU compute instead of weight transfers for small batches (Fiddler, arXiv 2402.07033).

From the released code: popular experts on the GPU; GPU experts first, then the others one by one on the main
thread, copies synchronous, no overlap. The code decides by two constants (7 a token on the CPU, 70 a load);
`cpu_below` 0 compares what the machine file says instead, as the paper's own profile does.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import NonNegativeInt

from sim.misses import cpu_is_cheaper, on_cpu, stream
from sim.placement import popular_placement
from sim.program import Program
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, resident_expert


class Fiddler(Strategy):
    """Per expert: the GPU if resident, else the CPU if that is cheaper, else streamed through a placeholder.

    cpu_below: fewer tokens than this go to the CPU (10 in the released code); 0 weighs CPU against link and GPU.
    overlap: do not hold the host for each CPU expert (not in the released code; to see what it would give).
    """

    name = "fiddler"
    extra_slots = 1

    def __init__(self, *, cpu_below: NonNegativeInt = 10, overlap: bool = False) -> None:
        self.cpu_below = cpu_below
        self.overlap = overlap

    def start(self, world: World) -> Sequence[Key]:
        """Place the popular experts for good."""
        super().start(world)
        return popular_placement(world.model, world.popularity, world.n_slots)

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Resident experts, then streamed ones, then those on the CPU."""
        hits = [e for e in now.tokens_of if p.resident(now.layer, e)]
        misses = [e for e in now.tokens_of if e not in hits]
        on_host = [e for e in misses if self._to_cpu(now.layer, e, now.tokens_of[e])]
        blocking = not self.overlap
        done = [resident_expert(p, now, e, ready) for e in hits]
        done += [stream(p, now, e, ready, blocking=blocking) for e in misses if e not in on_host]
        done += [on_cpu(p, now, e, ready, blocking=blocking) for e in on_host]
        return done

    def _to_cpu(self, layer: int, expert: int, tokens: int) -> bool:
        if self.cpu_below:
            return tokens < self.cpu_below
        return cpu_is_cheaper(self.world, layer, expert, tokens)
