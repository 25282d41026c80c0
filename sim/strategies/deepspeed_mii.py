"""deepspeed-mii: DeepSpeed ZeRO-3 parameter offload, the "DeepSpeed-MII" baseline of Fiddler and DAOP.

Paper: ZeRO-Inference (arXiv 2207.00032, section 5.2) streams layer by layer and fetches the next one ahead.
Code: deepspeedai/DeepSpeed, deepspeed/runtime/zero/partitioned_param_coordinator.py and parameter_offload.py (the
defaults of both bounds); efeslab/fiddler, benchmarks/eval-baseline.py, which runs plain DeepSpeed: stage 3, pinned
parameters on the CPU, each MoE block one leaf module, so that all its experts are fetched before its router runs.
The published figures were made so, hence `variant: code` by default.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from sim.model import MoEModel
from sim.program import Program
from sim.schedule import NO_EXPERT, Reason
from sim.slots import Key
from sim.strategies.layer_streaming import LayerStreaming
from sim.strategy import LayerPass
from sim.trace import ExpertIds


class DeepSpeedMii(LayerStreaming):
    """ZeRO-3 with all parameters in pinned host memory.

    variant: `paper` keeps the whole next block on its way; `code` fetches module by module, holding the host until the
    copy stream is idle, and then reads ahead `prefetch_bucket` parameters (stage3_prefetch_bucket_size), less where
    more than `max_live` would be live (stage3_max_live_parameters), and never into the next pass.
    Here the modules are a block's other weights and its experts, and reading ahead ends with the next block.
    """

    name = "deepspeed-mii"

    def __init__(
        self, *, variant: Literal["paper", "code"] = "code", prefetch_bucket: NonNegativeInt = 50_000_000,
        max_live: PositiveInt = 1_000_000_000,
    ) -> None:  # fmt: skip
        super().__init__(prefetch=True)
        self.variant, self.prefetch_bucket, self.max_live = variant, prefetch_bucket, max_live
        self.smaller_on_gpu = "lower `prefetch_bucket`" if variant == "code" and prefetch_bucket else ""

    def slots(self, model: MoEModel) -> int:
        """A whole block's, and those of the next block that may come ahead."""
        ahead = -(-self.prefetch_bucket // model.expert_params) if self.variant == "code" else model.n_experts
        return model.n_experts + min(ahead, model.n_experts)

    def before_layer(self, p: Program, layer: int, moe: int) -> None:
        """Fetch what attention (and a dense FFN) needs."""
        if self.variant == "paper":
            super().before_layer(p, layer, moe)
            return
        self._enter(p, layer)
        self._fetch(p, [(layer, NO_EXPERT)])
        self._read_ahead(p, layer)
        p.hold_back(self._arrivals[layer])

    def moe_layer(self, p: Program, now: LayerPass) -> ExpertIds | None:
        """The MoE block is one module: all its experts are there before its router runs."""
        if self.variant == "code":
            self._fetch(p, [(now.layer, expert) for expert in range(p.model.n_experts)])
            self._read_ahead(p, now.layer)
        return super().moe_layer(p, now)

    def _fetch(self, p: Program, parts: Iterable[Key]) -> None:
        """Copy what is not there, and hold the host until this and all that was read ahead has arrived."""
        for part in parts:
            self._copy(p, part)
        p.wait(self._latest)

    def _read_ahead(self, p: Program, layer: int) -> None:
        """Copy what comes next until the bucket is full; the part that fills it comes whole."""
        blocks = sum(p.model.layer_params(block) for block in self._arrivals)
        live = blocks + len(p.slots) * p.model.expert_params
        room = min(self.prefetch_bucket, self.max_live - live)
        for part in self._to_come(p.model, layer):
            if room <= 0:
                return
            room -= self._copy(p, part)

    def _to_come(self, model: MoEModel, layer: int) -> Iterator[Key]:
        """The parts of this block after its first, and those of the next block of this pass."""
        for block in range(layer, min(layer + 2, model.n_layers)):
            if block > layer:
                yield block, NO_EXPERT
            if model.moe_index(block) >= 0:
                yield from ((block, expert) for expert in range(model.n_experts))

    def _copy(self, p: Program, part: Key) -> int:
        """Issue the copy of one part unless it is there or on its way; returns the parameters copied."""
        layer, expert = part
        if expert == NO_EXPERT:
            if layer in self._arrivals:
                return 0
            self._latest = self._bring_rest(p, layer)
            return p.model.layer_params(layer)
        if p.resident(layer, expert):
            return 0
        self._latest = p.load(layer, expert, reason=Reason.STREAM)
        return p.model.expert_params
