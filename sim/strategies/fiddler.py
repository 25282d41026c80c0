"""fiddler: CPU compute instead of weight transfers for small batches (Fiddler, arXiv 2402.07033).

`variant: upstream` is the authors' release (efeslab/fiddler: src/fiddler/mixtral.py). The most popular experts of all
are on the GPU. In every pass the others go to the CPU if `tokens × 7 < 70`, its two constants, else they stream
through a placeholder; first the GPU's experts in ascending order, with synchronous copies, then the CPU's one by one on
the main thread.

`variant: daop` is the version that DAOP was compared with (ecolab-nus/DAOP: fiddler/fiddler_moe.py,
model/modeling_fiddler.py). Its constants are 8.5 and 210 for Mixtral on an RTX A6000, its popularity is that of decode
steps, and in prefill a second thread computes the CPU's experts while the main thread serves the GPU. In decode each
of a token's experts is run where its weights are, in the router's order, the CPU's on the main thread.

Both papers speak of the slower side's time; both codes minimise the sum, which decides each expert by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import NonNegativeInt

from sim.parts.misses import cpu_is_cheaper, on_cpu, run_or_stream, side_by_side
from sim.parts.placement import decode_popularity, most_popular
from sim.program import Program
from sim.schedule import Phase
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, distinct, resident_expert

_CPU_BELOW = {"upstream": 10, "daop": 25}  # the least tokens for which 7 × tokens ≥ 70, and 8.5 × tokens ≥ 210


class Fiddler(Strategy):
    """Per expert: the GPU if resident, else the CPU if that is cheaper, else streamed through a placeholder.

    variant: the authors' own, which made the paper's figures, or DAOP's, which made those in DAOP's paper.
    cpu_below: fewer tokens than this go to the CPU (default: by the variant's constants); 0 weighs what the machine
    takes on the CPU against link and GPU, as a profile of it would. In decode, variant daop always goes to the CPU.
    overlap: do not hold the host for each CPU expert and copy (in no released code; to see what it would give).
    """

    name = "fiddler"
    extra_slots = 1  # the placeholder

    def __init__(
        self, *, variant: Literal["upstream", "daop"] = "upstream", cpu_below: NonNegativeInt | None = None,
        overlap: bool = False,
    ) -> None:  # fmt: skip
        self.variant = variant
        self.cpu_below = _CPU_BELOW[variant] if cpu_below is None else cpu_below
        self.blocking = not overlap

    def start(self, world: World) -> Sequence[Key]:
        """Place the most popular experts for good."""
        super().start(world)
        popularity = decode_popularity(world) if self.variant == "daop" else world.popularity
        return most_popular(world.model, popularity, world.n_slots)

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """As the variant has it for this phase."""
        if self.variant == "daop" and now.phase == Phase.DECODE:
            return self._in_place(p, now, ready)
        on_host = [e for e, tokens in now.tokens_of.items() if self._to_cpu(p, now.layer, e, tokens)]
        if self.variant == "daop":
            return side_by_side(p, now, on_host, ready, blocking=self.blocking)
        on_gpu = [e for e in now.tokens_of if e not in on_host]
        done = [run_or_stream(p, now, e, ready, blocking=self.blocking) for e in on_gpu]
        return done + [on_cpu(p, now, e, ready, blocking=self.blocking) for e in on_host]

    def _in_place(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Each expert where its weights are, in the router's order; of several tokens, those of most tokens first."""
        return [
            resident_expert(p, now, e, ready)
            if p.resident(now.layer, e)
            else on_cpu(p, now, e, ready, blocking=self.blocking)
            for e in distinct(now.ids)
        ]

    def _to_cpu(self, p: Program, layer: int, expert: int, tokens: int) -> bool:
        if p.resident(layer, expert):
            return False
        if self.cpu_below:
            return tokens < self.cpu_below
        return cpu_is_cheaper(self.world, layer, expert, tokens)
