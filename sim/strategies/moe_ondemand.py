"""moe-ondemand: MoE-OnDemand, the baseline of DAOP (arXiv 2501.10375) that never computes on the CPU.

From the released code (ecolab-nus/DAOP: DAOP/ondemand_moe.py; model/modeling_fiddler.py with `cpu_offload=0`): DAOP's
placement by decode-phase popularity; the experts of a layer in ascending order, a resident one at once, any other by a
synchronous copy into the one placeholder, and never kept; prefill and decode alike. It is `on-demand` with one
blocking placeholder, but for the order (`on-demand` runs the resident experts first, beside the copies) and for
the popularity (that of all calibration tokens there). The paper describes nothing that differs; no parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.parts.misses import run_or_stream
from sim.parts.placement import decode_popularity, popular_placement
from sim.program import Program
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World


class MoEOnDemand(Strategy):
    """Static popular placement; a miss streams through the placeholder while the host waits."""

    name = "moe-ondemand"
    extra_slots = 1  # the placeholder

    def start(self, world: World) -> Sequence[Key]:
        """Place the experts that decode steps use most, for good."""
        super().start(world)
        return popular_placement(world.model, decode_popularity(world), world.n_slots)

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """One after the other, ascending."""
        return [run_or_stream(p, now, expert, ready, blocking=True) for expert in now.tokens_of]
