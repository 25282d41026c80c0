"""daop: data-aware offloading and predictive pre-calculation (Zhang, Aggarwal, Mitra; DATE 2025, arXiv 2501.10375).

`variant: code` is the release (ecolab-nus/DAOP: model/modeling_daop.py, DAOP/daop_moe.py, data/calibration_data.py),
`paper` what the paper says instead. Where both agree:

* Placement: the `floor(n/L)` experts of every layer that decode steps use most, the other slots to the next of all.
* Prefill, before a layer's experts: hot experts on the CPU change places with cold ones on the GPU, pair by pair, if
  `hot tokens > 1.05 × cold tokens`, at most half a layer; copies are synchronous. What is still not on the GPU goes to
  the CPU, in a second thread, or streams through a placeholder, by two constants: one token on the CPU, one load.
* Decode moves no weights. In the first blocks the router decides and the CPU's experts run inline. In each later block
  run the experts that its gate named on the block before's hidden state, unverified. Of them at most one is on the CPU;
  its pre-calculation, on that older state, starts before the GPU runs the block before's experts.

They differ in the first block that is predicted (code 5; paper 4), in the split in prefill (code: each expert by
itself; paper: the slower side as fast as possible), and in the code's cold experts, among which one on the CPU without
tokens takes a place, so that its pair is left out. The code is the default: its README quotes the tok/s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from sim.errors import InputError
from sim.parts.degrade import settled
from sim.parts.exchange import swap
from sim.parts.misses import from_cpu, on_cpu, side_by_side, to_cpu
from sim.parts.placement import decode_popularity, popular_placement
from sim.parts.split import balanced, latencies, one_by_one
from sim.plan import tokens_of
from sim.program import Program
from sim.schedule import Phase, Reason
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, distinct, resident_expert
from sim.trace import ExpertIds

_FIRST_PREDICTED = {"code": 5, "paper": 4}
_SPLIT = {"code": one_by_one, "paper": balanced}


class Ahead(NamedTuple):
    """What was settled for a block before it is reached: its experts, and the results on their way from the CPU."""

    now: LayerPass
    results: list[int]


class Daop(Strategy):
    """Swaps in prefill, predicted routing with pre-calculation on the CPU in decode.

    first_predicted: MoE blocks of a decode step that follow their own router (default: the variant's).
    swap_ratio: 1.05 in paper and code. max_swaps: pairs a layer (default: half its experts, as both have it).
    latency_cpu_ms, latency_gpu_ms: the constants of the split in prefill, one token of an expert on the CPU and one
    load (default: what the machine takes, for theirs were measured on it). The code's: Mixtral 8.5 and 210 on the RTX
    A6000, 5 and 40 on the A100; Phi-3.5-MoE 3.5 and 30, 2.5 and 25.
    cpu_experts: a token's experts that may be on the CPU in a predicted block; the best one on the GPU replaces each
    further one (1 in paper and code, which know top-2 only; top-k or more: no degradation).

    A trace has no router scores: the best expert on the GPU is the next that the predictor names beyond top-k, then
    the most popular one. Of the fidelity reported, `changed` are decisions for which another expert ran, mispredicted
    or replaced (`replaced` counts the latter). The right expert on an older state is no change: those are PRECOMPUTE.
    """

    name = "daop"
    extra_slots = 1  # the placeholder
    lossy = True
    needs_predictor = True

    def __init__(
        self, *, variant: Literal["code", "paper"] = "code", first_predicted: PositiveInt | None = None,
        swap_ratio: PositiveFloat = 1.05, max_swaps: NonNegativeInt | None = None,
        latency_cpu_ms: PositiveFloat | None = None, latency_gpu_ms: PositiveFloat | None = None,
        cpu_experts: NonNegativeInt = 1,
    ) -> None:  # fmt: skip
        self.variant = variant
        self._stated = first_predicted
        self.first_predicted = _FIRST_PREDICTED[variant] if first_predicted is None else first_predicted
        self.swap_ratio, self.max_swaps, self.cpu_experts = swap_ratio, max_swaps, cpu_experts
        self.latency_cpu_ms, self.latency_gpu_ms = latency_cpu_ms, latency_gpu_ms
        self.replaced = 0

    def start(self, world: World) -> Sequence[Key]:
        """Profile the machine, place the experts that decode steps use most.

        Raises InputError if more blocks are to follow their router than there are.
        """
        super().start(world)
        decoding = sum(block >= world.model.encoder_layers for block in world.model.moe_layers)
        if self._stated is not None and self._stated > decoding:
            raise InputError(
                f"{world.model.name} decodes through only {decoding} MoE blocks", field="strategies.first_predicted",
                value=self._stated, remedy=f"give at most {decoding}, which predicts none",
            )  # fmt: skip
        self._latencies = latencies(world, self.latency_cpu_ms, self.latency_gpu_ms)
        popularity = decode_popularity(world)
        self._popular: list[list[int]] = np.argsort(-popularity, axis=1, kind="stable").tolist()
        self._predicted_from = self.first_predicted + sum(
            b < world.model.encoder_layers for b in world.model.moe_layers
        )
        self._ahead: Ahead | None = None
        return popular_placement(world.model, popularity, world.n_slots)

    def moe_layer(self, p: Program, now: LayerPass) -> ExpertIds | None:
        """By the block's own router, or as settled one block ahead."""
        if self._ahead is None:
            return super().moe_layer(p, now)
        (chosen, results), state = self._ahead, p.hidden
        assert state is not None
        self._ahead = self._look_ahead(p, now)
        done = self._on_gpu(p, chosen, state)
        if results:
            p.wait(*results)
        if self.world.model.shared_hidden:
            done.append(p.shared(now.layer, after=[state]))
        p.combine(now.layer, after=[*done, *results])
        return chosen.ids

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """A block that follows its own router."""
        if now.phase == Phase.PREFILL:
            most = p.model.n_experts // 2 if self.max_swaps is None else self.max_swaps
            loaded = swap(p, now, ratio=self.swap_ratio, most=most, idle_count_as_cold=self.variant == "code")
            misses = {e: tokens for e, tokens in now.tokens_of.items() if not p.resident(now.layer, e)}
            to_host = _SPLIT[self.variant](misses, self._latencies)
            return side_by_side(p, now, to_host, ready, blocking=True, loaded=loaded)
        self._ahead = self._look_ahead(p, now)
        on_host = [e for e in distinct(now.ids) if not p.resident(now.layer, e)]
        done = [on_cpu(p, now, e, ready, blocking=True) for e in on_host]
        return done + self._on_gpu(p, now, ready)

    def _look_ahead(self, p: Program, now: LayerPass) -> Ahead | None:
        """Apply the next block's gate to this one's state and start on the CPU what it names there."""
        moe, state = now.moe + 1, p.hidden
        if not self._predicted_from <= moe < p.model.n_moe_layers:
            return None
        assert state is not None
        layer = p.model.moe_layers[moe]
        p.wait(p.gate(layer))
        guess = self.world.predict_ids(moe, size=p.model.n_experts)
        assert guess is not None
        ids, replaced = settled(
            guess, now.ids, self._popular[moe], lambda e: p.resident(layer, e), on_host=self.cpu_experts
        )
        self.replaced += replaced
        routed = tokens_of(ids, int(np.iinfo(ids.dtype).max))
        coming = replace(now, layer=layer, moe=moe, tokens_of=routed, ids=ids, weights=None)
        on_host = [e for e in coming.tokens_of if not p.resident(layer, e)]
        results = [to_cpu(p, coming, e, state, reason=Reason.PRECOMPUTE) for e in on_host]
        up = [from_cpu(p, coming, e, r, reason=Reason.PRECOMPUTE) for e, r in zip(on_host, results, strict=True)]
        return Ahead(coming, up)

    @staticmethod
    def _on_gpu(p: Program, now: LayerPass, ready: int) -> list[int]:
        return [resident_expert(p, now, e, ready) for e in distinct(now.ids) if p.resident(now.layer, e)]
