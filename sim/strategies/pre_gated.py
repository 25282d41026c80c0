"""pre-gated: each block's gate chooses the experts of the next MoE block, so that prefetches are never wrong.

Pre-gated MoE (arXiv 2308.12066), read in ranggihwang/Pregated_MoE (kernels/moe_kernels.cu, utils/fetcher.cc, arena.cc,
models/t5/T5Decoder.cc, scripts/eval_all.py). The model is fine-tuned to route that way: a trace is taken for its own
routing, and the choice for the next block is read from the trace when this block's gate has run, no sooner.
docs/systems/pre-gated.md has the sources of the parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sim.cache import make_policy
from sim.errors import InputError, ScheduleError
from sim.model import MoEModel
from sim.policy import Policy
from sim.program import Program
from sim.schedule import Reason
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, distinct, resident_expert


class PreGated(Strategy):
    """Two buffers, each for a block's experts: one is filled from host memory while the other computes.

    variant: `code` fetches the experts of encoder blocks on demand and holds the host at the end of each MoE block;
    `paper` pre-gates encoders too and does not hold the host. policy: what the slots beyond the two buffers cache, if
    anything (`none`: there are no more slots).
    """

    name = "pre-gated"

    def __init__(
        self, *, variant: Literal["code", "paper"] = "code", policy: Literal["none", "lru", "lfu"] = "none"
    ) -> None:
        self.variant, self.policy = variant, policy

    def slots(self, model: MoEModel) -> int | None:
        """Two blocks' experts, unless more are to be cached."""
        return _buffers(model) if self.policy == "none" else None

    def start(self, world: World) -> Sequence[Key]:
        """Begin with nothing on the GPU; raises InputError if the buffers do not fit the slots."""
        super().start(world)
        beyond = world.n_slots - _buffers(world.model)
        if beyond < 0 or (self.policy != "none" and not beyond):
            raise InputError(
                f"pre-gated needs two buffers for a block's {world.model.n_experts} experts each, and more to cache in",
                field="cache",
                value=world.n_slots,
                remedy=f"give it more than {_buffers(world.model)}, or `policy: none`",
            )
        self._cache: Policy[Key] | None = None if self.policy == "none" else make_policy(self.policy, beyond)
        self._reasons: dict[Key, Reason] = {}  # what is fetched for the present block and the next: why it is there
        self._fetching: list[int] = []  # the loads that the next block has to wait for
        return ()

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Wait for this block's experts, start fetching the next one's, compute, and let go of those that have run."""
        if self._chooses_for_itself(now.moe):
            self._fetch(p, [(now.layer, e) for e in now.tokens_of], ready, Reason.DEMAND)
        if self._fetching:
            p.wait(*self._fetching)
        self._fetching = []
        if now.moe + 1 < self.world.model.n_moe_layers and not self._chooses_for_itself(now.moe + 1):
            self._fetch(p, self._chosen(now.moe + 1), ready, Reason.PREFETCH)
        keys = [(now.layer, e) for e in now.tokens_of]
        done = [resident_expert(p, now, key[1], ready, self._reasons.pop(key)) for key in keys]
        self._let_go(p, keys)
        if self.variant == "code" and done:
            p.wait(*done)
        return done

    def _chooses_for_itself(self, moe: int) -> bool:
        """Whether a MoE block's own gate chooses: the first of each stack, and in the code all of an encoder."""
        model = self.world.model
        of_encoder = [block < model.encoder_layers for block in model.moe_layers[: moe + 1]]
        first = moe == 0 or of_encoder[moe] != of_encoder[moe - 1]
        return first or (self.variant == "code" and of_encoder[moe])

    def _chosen(self, moe: int) -> list[Key]:
        """What this block's gate has just chosen for a later block."""
        if self.world.foresight is None:
            raise ScheduleError("pre-gated needs the routing of the next block")
        layer = self.world.model.moe_layers[moe]
        return [(layer, e) for e in sorted(distinct(self.world.foresight.routing(moe)))]

    def _fetch(self, p: Program, keys: Sequence[Key], ready: int, reason: Reason) -> None:
        for key in keys:
            if p.resident(*key):
                self._reasons[key] = Reason.HIT
            else:
                self._reasons[key] = Reason.PREFETCHED if reason == Reason.PREFETCH else reason
                self._fetching.append(p.load(*key, after=[ready], reason=reason))
        self._let_go(p, [gone for key in keys if (gone := self._remember(key)) is not None])

    def _remember(self, key: Key) -> Key | None:
        """Count a use in the cache, if there is one; returns the expert that leaves it for this one."""
        if self._cache is None:
            return None
        if key in self._cache:
            self._cache.touch(key)
            return None
        leaving = None if self._cache.fits(key) else self._cache.victim(entering=key)
        if leaving is not None:
            self._cache.remove(leaving)
        self._cache.insert(key)
        return leaving

    def _let_go(self, p: Program, keys: Sequence[Key]) -> None:
        """Free the slots of experts that are neither cached nor about to run."""
        for key in keys:
            if key not in self._reasons and (self._cache is None or key not in self._cache):
                p.drop(*key)


def _buffers(model: MoEModel) -> int:
    return 2 * model.n_experts
