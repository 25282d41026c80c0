"""all-resident: every expert on the GPU; what a machine with enough memory would do."""

from __future__ import annotations

from collections.abc import Sequence

from sim.errors import InputError
from sim.model import MoEModel
from sim.program import Program
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, resident_expert


class AllResident(Strategy):
    """No transfers at all: the upper bracket for every offloading strategy on the same GPU."""

    name = "all-resident"
    bracket = True

    def slots(self, model: MoEModel) -> int:
        """All of them."""
        return model.n_slots_total

    def host_experts(self, model: MoEModel) -> int:
        """None of them."""
        return 0

    def start(self, world: World) -> Sequence[Key]:
        """Place every expert; raises InputError if the cache is smaller than the model."""
        super().start(world)
        keys = [(layer, expert) for layer in world.model.moe_layers for expert in range(world.model.n_experts)]
        if world.n_slots < len(keys):
            raise InputError(
                f"all-resident needs room for all {len(keys)} experts",
                field="cache",
                value=world.n_slots,
                remedy="give this strategy `cache: all`",
            )
        return keys

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """All on the GPU, in ascending order."""
        return [resident_expert(p, now, expert, ready) for expert in now.tokens_of]
