"""layer-streaming: each block's whole weights cross the link for every forward pass, blind to routing.

The mechanism of DeepSpeed ZeRO-Inference (next block prefetched) and Hugging Face Accelerate (not prefetched).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from sim.errors import InputError
from sim.model import MoEModel
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
        self.smaller_on_gpu = "set `prefetch: false`" if prefetch else ""

    def slots(self, model: MoEModel) -> int:
        """Those of the blocks that are on the GPU at once."""
        return self.block_buffers * model.n_experts

    def start(self, world: World) -> Sequence[Key]:
        """Begin with nothing on the GPU; raises InputError if the buffers do not fit the cache."""
        super().start(world)
        needed = self.slots(world.model)
        if world.n_slots < needed:
            raise InputError(
                f"{self.name} needs {needed} expert slots for its buffers",
                field="cache",
                value=world.n_slots,
                remedy=f"give it `cache: {needed}`",
            )
        self._current: int | None = None  # the block that computes
        self._arrivals: dict[int, int] = {}  # block in a buffer -> the load of its non-expert weights
        self._free: deque[tuple[int, ...]] = deque([()] * self.block_buffers)  # each: what must end before it is filled
        return ()

    def before_layer(self, p: Program, layer: int, moe: int) -> None:
        """Free all other buffers, bring this block if it is not on its way, and the next one if asked."""
        self._enter(p, layer)
        self._bring(p, layer)
        if self.prefetch:
            self._bring(p, self._next(layer))
        p.hold_back(self._arrivals[layer])

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Only routed experts compute, though all were loaded."""
        return [resident_expert(p, now, expert, ready, Reason.DEMAND) for expert in now.tokens_of]

    def _next(self, layer: int) -> int:
        """The block that follows; after the last, the first of a decode step."""
        model = self.world.model
        return layer + 1 if layer + 1 < model.n_layers else model.decode_layers[0]

    def _enter(self, p: Program, layer: int) -> None:
        """Give up the block that has computed, and any that was brought for nothing."""
        for block in [b for b in self._arrivals if b != layer or b == self._current]:
            self._release(p, block)
        self._current = layer

    def _bring(self, p: Program, layer: int) -> None:
        if layer in self._arrivals:
            return
        self._bring_rest(p, layer)
        if p.model.moe_index(layer) >= 0:
            for expert in range(p.model.n_experts):
                p.load(layer, expert, reason=Reason.STREAM)

    def _bring_rest(self, p: Program, layer: int, after: Iterable[int] = ()) -> int:
        """Load the block's non-expert weights into a free buffer."""
        self._arrivals[layer] = p.load_block(layer, after=[*self._free.popleft(), *after])
        return self._arrivals[layer]

    def _release(self, p: Program, layer: int) -> None:
        """The buffer is free once the block has computed, or arrived if it turned out not to be needed."""
        arrival = self._arrivals.pop(layer)
        reader = p.hidden if layer == self._current else None
        self._free.append((arrival if reader is None else reader,))
        for expert in range(p.model.n_experts):
            if p.resident(layer, expert):
                p.drop(layer, expert)
