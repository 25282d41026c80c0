"""layer-streaming: each block's whole weights cross the link for every forward pass, blind to routing.

The mechanism of DeepSpeed ZeRO-Inference (next block prefetched) and Hugging Face Accelerate (not prefetched).
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.errors import InputError
from sim.program import Program
from sim.schedule import Reason
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, resident_expert


class LayerStreaming(Strategy):
    """Streams blocks through `1 + prefetch` block-sized buffers; only embeddings and head stay on the GPU.

    prefetch: load the next block while this one computes (DeepSpeed) or only when it is reached (Accelerate).
    """

    name = "layer-streaming"

    def __init__(self, *, prefetch: bool = True) -> None:
        self.prefetch = prefetch
        self.block_buffers = 1 + prefetch

    def start(self, world: World) -> Sequence[Key]:
        """Begin with nothing on the GPU; raises InputError if the buffers do not fit the cache."""
        super().start(world)
        needed = self.block_buffers * world.model.n_experts
        if world.n_slots < needed:
            raise InputError(
                f"layer-streaming needs {self.block_buffers} blocks of {world.model.n_experts} expert slots",
                field="cache",
                value=world.n_slots,
                remedy=f"give it `cache: {needed}`",
            )
        self._arrivals: dict[int, int] = {}  # block -> the load of its non-expert weights
        self._last_use: dict[int, int] = {}  # buffer -> the op that last read non-expert weights from it
        return ()

    def before_layer(self, p: Program, layer: int, moe: int) -> None:
        """Free the last block's buffer, bring this block if it is not on its way, and the next one if asked."""
        self._release(p, (layer - 1) % p.model.n_layers)
        self._bring(p, layer)
        if self.prefetch:
            self._bring(p, (layer + 1) % p.model.n_layers)
        p.hold_back(self._arrivals[layer])

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Only routed experts compute, though all were loaded."""
        return [resident_expert(p, now, expert, ready, Reason.DEMAND) for expert in now.tokens_of]

    def _bring(self, p: Program, layer: int) -> None:
        if layer in self._arrivals:
            return
        before = self._last_use.get(layer % self.block_buffers)
        self._arrivals[layer] = p.load_block(layer, after=() if before is None else (before,))
        if p.model.moe_index(layer) >= 0:
            for expert in range(p.model.n_experts):
                p.load(layer, expert, reason=Reason.STREAM)

    def _release(self, p: Program, layer: int) -> None:
        if self._arrivals.pop(layer, None) is None:
            return
        if p.hidden is not None:
            self._last_use[layer % self.block_buffers] = p.hidden
        if p.model.moe_index(layer) >= 0:
            for expert in range(p.model.n_experts):
                p.drop(layer, expert)
