"""cache: the plain caching strategy whose knobs span the design space for comparisons and sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import NonNegativeInt

from sim.cache import PolicyName
from sim.errors import InputError
from sim.parts.misses import cpu_is_cheaper, from_cpu, stream, to_cpu
from sim.parts.placement import popular_placement
from sim.parts.resident import ExpertCache
from sim.program import Program, default_lanes
from sim.schedule import Lane, Reason
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, resident_expert

_PREFETCH_PRIORITY = 1  # demand loads have 0


class Cache(Strategy):
    """Expert cache on the GPU.

    policy: any of `sim.cache.ONLINE`. scope: one cache a block with an equal share of slots (`layer`) or one for all
    (`global`). miss: `fetch` into the cache, compute on the `cpu`, or the `cheaper` of the two. evict: `drop`
    the weights (the host keeps a copy) or `swap` them back, with `spare` buffers for it. prefetch: at each layer,
    load what the run's predictor says of the next one. priority: demand loads overtake queued prefetches.
    """

    name = "cache"

    def __init__(
        self, *, policy: PolicyName = "lru", scope: Literal["layer", "global"] = "layer",
        miss: Literal["fetch", "cpu", "cheaper"] = "fetch", evict: Literal["drop", "swap"] = "drop",
        spare: NonNegativeInt = 1, prefetch: bool = False, priority: bool = False,
    ) -> None:  # fmt: skip
        self.policy, self.scope, self.miss, self.evict = policy, scope, miss, evict
        self.prefetch, self.priority = prefetch, priority
        self.extra_slots = spare
        self.needs_predictor = prefetch

    def lanes(self) -> tuple[Lane, ...]:
        """Uploads queue by priority where demand overtakes prefetch."""
        return default_lanes(copy_priority=self.priority)

    def start(self, world: World) -> Sequence[Key]:
        """Begin with the popular experts cached; raises InputError if a block would have no slot at all."""
        super().start(world)
        least = world.model.n_moe_layers if self.scope == "layer" else 1
        if not self.extra_slots and world.n_slots < least:
            remedy = f"keep a spare one, or cache at least {least}"
            raise InputError("some block would have no slot", field="strategies.spare", value=0, remedy=remedy)
        self._prefetched: set[Key] = set()
        self.cache = ExpertCache(self.policy, world.model.moe_layers, world.n_slots, scope=self.scope)
        everyone = popular_placement(world.model, world.popularity, world.popularity.size)
        return self.cache.warm(reversed(everyone))

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """The CPU's part and loads first, so that they overlap each other and the hits' compute; late arrivals last."""
        layer = now.layer
        hits = [e for e in now.tokens_of if (layer, e) in self.cache]
        misses = [e for e in now.tokens_of if (layer, e) not in self.cache]
        self.cache.touch((layer, e) for e in hits)
        on_host = [e for e in misses if self._to_cpu(layer, e, now.tokens_of[e])]
        results = {e: to_cpu(p, now, e, ready) for e in on_host}
        fetched = [e for e in misses if e not in on_host]
        needed = {(layer, e) for e in now.tokens_of}
        loaded = [e for e in fetched if self._admit(p, (layer, e), needed, Reason.DEMAND) is not None]
        done = [from_cpu(p, now, e, result) for e, result in results.items()]
        if self.prefetch:
            self._prefetch(p, now, needed)
        done += [resident_expert(p, now, e, ready, self._reason(layer, e)) for e in hits]
        done += [resident_expert(p, now, e, ready, Reason.DEMAND) for e in loaded]
        done += [self._late(p, now, e, ready) for e in fetched if e not in loaded]
        return done

    def _to_cpu(self, layer: int, expert: int, tokens: int) -> bool:
        if self.miss == "cheaper":
            return cpu_is_cheaper(self.world, layer, expert, tokens)
        return self.miss == "cpu"

    def _admit(self, p: Program, key: Key, protected: set[Key], reason: Reason) -> int | None:
        self._prefetched.discard(key)  # it may have left before it was used
        priority = _PREFETCH_PRIORITY if reason == Reason.PREFETCH else 0
        swap = self.evict == "swap"
        return self.cache.admit(p, key, protected=protected, swap=swap, reason=reason, priority=priority)

    def _late(self, p: Program, now: LayerPass, expert: int, ready: int) -> int:
        """More experts are needed at once than the cache holds: reuse the slots of those that have been issued."""
        if self._admit(p, (now.layer, expert), set(), Reason.DEMAND) is None:
            return stream(p, now, expert, ready)
        return resident_expert(p, now, expert, ready, Reason.DEMAND)

    def _prefetch(self, p: Program, now: LayerPass, needed: set[Key]) -> None:
        """Load the next block's predicted experts, never at the expense of this block's or of each other."""
        if now.moe + 1 >= self.world.model.n_moe_layers:
            return
        layer = self.world.model.moe_layers[now.moe + 1]
        predicted = [(layer, e) for e in self.world.predict(now.moe + 1)]
        for key in predicted:
            if key not in self.cache and self._admit(p, key, needed | set(predicted), Reason.PREFETCH) is not None:
                self._prefetched.add(key)

    def _reason(self, layer: int, expert: int) -> Reason:
        """A hit that a prefetch made is told apart, once."""
        if (layer, expert) in self._prefetched:
            self._prefetched.discard((layer, expert))
            return Reason.PREFETCHED
        return Reason.HIT
