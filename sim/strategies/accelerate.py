"""accelerate: naive offloading by Hugging Face Accelerate, a baseline of Mixtral-Offloading (arXiv 2312.17238).

Code: huggingface/accelerate, src/accelerate/hooks.py (AlignDevicesHook): each module's weights are copied when it is
reached, from pageable memory and synchronously, and forgotten when it has run; nothing is fetched ahead. Run it on a
stack with pageable copies. `device_map="auto"` keeps whole blocks on the GPU, the first ones, while there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import NonNegativeInt

from sim.errors import InputError
from sim.model import MoEModel
from sim.parts.misses import stream
from sim.program import Program
from sim.schedule import Reason
from sim.slots import Key
from sim.strategies.layer_streaming import LayerStreaming
from sim.strategy import LayerPass, World, resident_expert


class Accelerate(LayerStreaming):
    """Copies what is reached when it is reached, in the stream that computes; the host waits for every copy.

    variant: `paper`, the naive offloading of Mixtral-Offloading's table 2, "loads the entire MoE layer" (so does a
    model class that holds a block's experts in one module); `code`: where each expert is a module of its own and the
    model calls only those that have tokens, only those are copied. gpu_layers: blocks that stay on the GPU.
    """

    name = "accelerate"

    def __init__(self, *, variant: Literal["paper", "code"] = "paper", gpu_layers: NonNegativeInt = 0) -> None:
        super().__init__(prefetch=False)
        self.variant, self.gpu_layers = variant, gpu_layers
        self.block_buffers = gpu_layers + 1
        self.smaller_on_gpu = "lower `gpu_layers`" if gpu_layers else ""

    def slots(self, model: MoEModel) -> int:
        """Those of the blocks that stay, and room for what is copied; raises InputError if nothing is left to copy."""
        if self.gpu_layers >= model.n_layers:
            raise InputError(
                f"{model.name} has {model.n_layers} blocks, of which none would be offloaded",
                field="strategies.gpu_layers",
                value=self.gpu_layers,
                remedy="keep fewer, or use all-resident",
            )
        return len(self._staying(model)) + (model.n_experts if self.variant == "paper" else 1)

    def host_experts(self, model: MoEModel) -> int:
        """Those of the blocks that do not stay."""
        return model.n_slots_total - len(self._staying(model))

    def start(self, world: World) -> Sequence[Key]:
        """Begin with the blocks that stay."""
        super().start(world)
        return self._staying(world.model)

    def before_layer(self, p: Program, layer: int, moe: int) -> None:
        """Copy the block's other weights, unless they stay."""
        self._enter(p, layer)
        if layer >= self.gpu_layers:
            arrival = self._bring_rest(p, layer, after=() if p.hidden is None else (p.hidden,))
            p.wait(arrival)
            p.hold_back(arrival)

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Copy all and then compute, or copy and compute one after the other."""
        if now.layer < self.gpu_layers:
            return [resident_expert(p, now, expert, ready) for expert in now.tokens_of]
        if self.variant == "code":
            done: list[int] = []
            for expert in now.tokens_of:
                done.append(stream(p, now, expert, done[-1] if done else ready, blocking=True))
            return done
        for expert in range(p.model.n_experts):
            p.wait(p.load(now.layer, expert, after=[ready], reason=Reason.STREAM))
        return [resident_expert(p, now, expert, ready, Reason.DEMAND) for expert in now.tokens_of]

    def _staying(self, model: MoEModel) -> list[Key]:
        return [(layer, e) for layer in model.moe_layers if layer < self.gpu_layers for e in range(model.n_experts)]
