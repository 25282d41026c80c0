"""on-demand: popular experts stay on the GPU, any other streams through a placeholder and is never kept.

No cache, no CPU compute: the least that an offloading engine can do. `moe-ondemand` is a published form of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import PositiveInt

from sim.parts.misses import stream
from sim.parts.placement import popular_placement
from sim.program import Program
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, resident_expert


class OnDemand(Strategy):
    """Static popular placement; misses stream through `placeholders` slots, resident experts run first.

    blocking: the host waits for each copy, as a pageable or default-stream copy makes it.
    """

    name = "on-demand"

    def __init__(self, *, placeholders: PositiveInt = 1, blocking: bool = False) -> None:
        self.extra_slots = placeholders
        self.blocking = blocking

    def start(self, world: World) -> Sequence[Key]:
        """Place the popular experts for good."""
        super().start(world)
        return popular_placement(world.model, world.popularity, world.n_slots)

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Hits first, then the misses one through each placeholder."""
        hits = [e for e in now.tokens_of if p.resident(now.layer, e)]
        done = [resident_expert(p, now, e, ready) for e in hits]
        return done + [stream(p, now, e, ready, blocking=self.blocking) for e in now.tokens_of if e not in hits]
