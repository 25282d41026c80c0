"""oracle: Belady's eviction and perfect prediction; what a cache with prefetching can reach at best."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from sim.errors import ScheduleError
from sim.misses import stream
from sim.policies import FutureIndex
from sim.program import Program
from sim.resident import ExpertCache
from sim.schedule import Reason
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, resident_expert


class Oracle(Strategy):
    """Knows the whole run: keeps what is needed soonest, loads each expert as early as that allows.

    horizon: MoE blocks to look ahead when loading early (0: one whole forward pass). Not implementable; a bracket.
    It evicts optimally and predicts perfectly, yet it is a heuristic: its order of loads need not be the best one.
    """

    name = "oracle"
    needs_future = True
    extra_slots = 1

    def __init__(self, *, horizon: int = 0) -> None:
        self.horizon = horizon

    def start(self, world: World) -> Sequence[Key]:
        """Begin with the experts that are needed first."""
        super().start(world)
        if world.future is None:
            raise ScheduleError("the oracle needs the future")
        self.future = world.future
        self.index = FutureIndex(world.future)
        blocks = world.model.moe_layers
        self.cache = ExpertCache("belady", blocks, world.n_slots, scope="global", next_use=self.index.next_use)
        self.cache.tick(-1)
        self._early: set[Key] = set()
        return self.cache.warm(dict.fromkeys(key for batch in world.future for key in batch))

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Hits, demand loads where the cache was too small to load early, and then loads for later blocks."""
        position = now.step * self.world.model.n_moe_layers + now.moe
        self.cache.tick(position)
        keys = [(now.layer, e) for e in now.tokens_of]
        hits = [key for key in keys if key in self.cache]
        self.cache.touch(hits)
        loaded = [k for k in keys if k not in hits and self.cache.admit(p, k, protected=keys) is not None]
        late = [key for key in keys if key not in hits and key not in loaded]
        done = [resident_expert(p, now, e, ready, self._reason(now.layer, e)) for _, e in hits]
        done += [resident_expert(p, now, e, ready, Reason.DEMAND) for _, e in loaded]
        done += [stream(p, now, e, ready) for _, e in late]
        self._load_early(p, position)
        return done

    def _load_early(self, p: Program, position: int) -> None:
        """In the order of need, while an expert that is needed later than the newcomer can leave."""
        ahead = self.horizon or self.world.model.n_moe_layers
        for due, batch in enumerate(islice(self.future, position + 1, position + 1 + ahead), position + 1):
            for key in batch:
                if key in self.cache:
                    continue
                sooner = _NeededBy(self.index, position, due)
                if self.cache.admit(p, key, protected=sooner, reason=Reason.PREFETCH) is None:
                    return
                self._early.add(key)

    def _reason(self, layer: int, expert: int) -> Reason:
        if (layer, expert) in self._early:
            self._early.discard((layer, expert))
            return Reason.PREFETCHED
        return Reason.HIT


class _NeededBy:
    """The experts whose next use after `now` comes no later than `due`."""

    def __init__(self, index: FutureIndex[Key], now: int, due: int) -> None:
        self._index, self._now, self._due = index, now, due

    def __contains__(self, key: object) -> bool:
        return self._index.next_use(key, self._now) <= self._due  # type: ignore[arg-type]
