"""mixtral-offloading: a cache of experts for each layer, swapped with host memory (arXiv 2312.17238).

Read in dvmazur/mixtral-offloading (src/expert_cache.py, custom_layers.py, build_model.py) and in the unquantised copies
that DAOP (ecolab-nus/DAOP) and Fiddler (efeslab/fiddler) measured, whose expert_cache.py differs by prints alone.
`lfu` and `speculative` are what arXiv 2511.05814 adds. Sources of all parameters: docs/systems/mixtral-offloading.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from sim.cache import make_policy
from sim.parts.placement import equal_share
from sim.parts.swap import Swapper
from sim.policy import Policy
from sim.program import Program
from sim.schedule import Phase, Reason
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, resident_expert


class MixtralOffloading(Strategy):
    """Each layer keeps an equal share of the slots; a miss is a swap through spare buffers that all layers share.

    variant: `code` issues copies and kernels to one CUDA stream, where nothing overlaps, and holds the host for it
    before each expert; `paper` copies both ways beside the compute. policy: who leaves. speculative: in decode, load
    what the predictor says of the next layer once this one's first expert has been issued; guesses: `swap` it in at
    once, or keep it `aside` in a spare buffer until it is used. spare: buffers on each side; at most all but one of
    them are in use for what runs ahead of the compute.
    """

    name = "mixtral-offloading"
    equal_shares = True

    def __init__(
        self, *, variant: Literal["code", "paper"] = "code", policy: Literal["lru", "lfu"] = "lru",
        speculative: bool = False, guesses: Literal["swap", "aside"] = "swap", spare: Annotated[int, Field(ge=2)] = 4,
    ) -> None:  # fmt: skip
        self.one_stream = variant == "code"
        self.policy, self.speculative, self.guesses, self.spare = policy, speculative, guesses, spare
        self.extra_slots = spare
        self.needs_predictor = speculative

    def start(self, world: World) -> Sequence[Key]:
        """Begin with each layer's last experts, by number; raises InputError if the layers' shares would differ."""
        super().start(world)
        model = world.model
        share = equal_share(model, world.n_slots, self.name)
        self._swapper = Swapper(self.spare)
        self._groups: dict[int, Policy[Key]] = {layer: make_policy(self.policy, share) for layer in model.moe_layers}
        self._foreseen: set[Key] = set()  # loaded on a guess since it was last needed
        self._aside: dict[Key, int] = {}  # those that are not in the cache, and their loads
        self._evicted: set[Key] = set()  # sent back before they have run: each is in a spare buffer until then
        resident = [(layer, e) for layer in model.moe_layers for e in range(model.n_experts - share, model.n_experts)]
        for key in resident:
            self._groups[key[0]].insert(key)
        return resident

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Resident experts first, then those that come; one that has run makes way for one more swap."""
        group = self._groups[now.layer]
        active = [(now.layer, e) for e in now.tokens_of]
        self._to_run, self._wanted, self._coming = set(active), set(active), set[Key]()
        self._tail = ready  # of the stream, if there is one
        for key in filter(group.contains, active):
            group.touch(key)
        reasons = self._reasons(active)
        queue = deque(key for key, reason in reasons.items() if reason == Reason.DEMAND)
        self._settle_guesses(p)
        self._swap_ahead(p, queue, group.capacity)
        done: list[int] = []
        for key, reason in reasons.items():
            done.append(self._run(p, now, key, reason))
            if len(done) == 1:
                queue.extend(self._guessed(now))
            self._swap_ahead(p, queue, group.capacity)
        if self.one_stream and self._tail not in done:
            p.hold_back(self._tail)
        return done

    def _reasons(self, active: Sequence[Key]) -> dict[Key, Reason]:
        """In the order of running, why each expert's weights are there; a hit that a guess made is told apart, once."""
        hits = [key for key in active if key in self._groups[key[0]] or key in self._aside]
        reasons = {key: Reason.PREFETCHED if key in self._foreseen else Reason.HIT for key in hits}
        self._foreseen.difference_update(active)
        return reasons | {key: Reason.DEMAND for key in active if key not in reasons}

    def _settle_guesses(self, p: Program) -> None:
        """What was guessed and kept aside enters the cache if it is needed now, else it is forgotten."""
        for key, load in self._aside.items():
            if key in self._to_run:
                self._enter(p, key, load)
            else:
                p.drop(*key)
        self._aside.clear()

    def _swap_ahead(self, p: Program, queue: deque[Key], share: int) -> None:
        """Issue swaps while fewer than the window allows are ahead of the compute, and a spare buffer is free."""
        while queue and len(self._coming) < min(self.spare - 1, share) and self._spare_in_use < self.spare:
            key = queue.popleft()
            self._coming.add(key)
            needed = key in self._to_run
            reason = Reason.DEMAND if needed else Reason.PREFETCH
            load = self._extend(self._swapper.fetch(p, key, after=[self._tail], reason=reason))
            if not needed:
                self._foreseen.add(key)
            if needed or self.guesses == "swap":
                self._enter(p, key, load)
            else:
                self._aside[key] = load

    @property
    def _spare_in_use(self) -> int:
        """Of the GPU's buffers: by guesses kept aside, and by hits that have made way for such a guess or a miss."""
        return len(self._aside) + len(self._evicted)

    def _enter(self, p: Program, key: Key, load: int) -> None:
        """Weights on their way join their layer's cache; for them another expert goes back to the host."""
        group = self._groups[key[0]]
        leaving = group.victim(self._wanted, entering=key) or group.victim(self._coming, entering=key)
        assert leaving is not None  # for fewer come than the layer has slots
        group.remove(leaving)
        group.insert(key)
        self._coming.add(key)
        after = [self._tail] if self.one_stream else []
        keep = leaving in self._to_run
        if keep:
            self._evicted.add(leaving)
        self._extend(self._swapper.send_back(p, leaving, load=load, after=after, keep=keep))

    def _run(self, p: Program, now: LayerPass, key: Key, reason: Reason) -> int:
        """One expert; in one stream it follows all copies so far, and the host waits for them to find its tokens."""
        if self.one_stream:
            p.wait(self._tail)
        done = self._extend(resident_expert(p, now, key[1], self._tail, reason))
        if key in self._evicted:
            p.drop(*key)
        for keys in (self._to_run, self._wanted, self._coming, self._evicted):
            keys.discard(key)
        return done

    def _extend(self, op: int) -> int:
        """In one stream, whatever is issued next follows this op."""
        if self.one_stream:
            self._tail = op
        return op

    def _guessed(self, now: LayerPass) -> list[Key]:
        """What has to come of the next layer's experts, as they are predicted now."""
        if not self.speculative or now.phase != Phase.DECODE or now.moe + 1 == self.world.model.n_moe_layers:
            return []
        layer = self.world.model.moe_layers[now.moe + 1]
        group = self._groups[layer]
        guessed = [(layer, e) for e in self.world.predict(now.moe + 1)]
        self._wanted.update(guessed)
        return [key for key in guessed if key not in group]
