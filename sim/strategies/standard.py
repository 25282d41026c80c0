"""standard: SiDA's baseline (arXiv 2310.18859), a Switch Transformer as Hugging Face runs it, all of it on the GPU.

Code: timlee0212/SiDA-MoE, src/latency.py `--baseline 1`, which runs SwitchTransformersSparseMLP of transformers 4.32.1
(environment.yml). Its loop goes over all experts of a layer and calls each, whether it has tokens or not; to gather
an expert's tokens by a mask and to put its results back the host waits for the GPU twice. The paper's reason why
its time grows with the number of experts. No parameters.
"""

from __future__ import annotations

from sim.parts.eager import looked_at, one_at_a_time
from sim.program import Program
from sim.schedule import Reason
from sim.strategies.all_resident import AllResident
from sim.strategy import LayerPass


class Standard(AllResident):
    """Every expert on the GPU, and every one of a layer called. Calls without tokens cost the host their launches."""

    name = "standard"
    bracket = False

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Those with tokens in ascending order, then, as the host's time, all calls without."""
        experts = p.model.n_experts
        done = one_at_a_time(p, now, ready, lambda expert: Reason.HIT)
        looked_at(p, self.world, experts=experts, ran=len(done), launched=experts - len(done))
        return done
