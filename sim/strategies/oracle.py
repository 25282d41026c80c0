"""oracle: Belady's eviction and perfect prediction; what a cache with prefetching can reach at best."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from pydantic import NonNegativeInt

from sim.errors import ScheduleError
from sim.policies import Belady, FutureIndex
from sim.program import Program
from sim.schedule import Reason
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, resident_expert


class Exchange(NamedTuple):
    """An expert that must be loaded by position `due` (MoE block of a step), and the one that leaves for it."""

    due: int
    key: Key
    victim: Key | None


class Oracle(Strategy):
    """Knows the whole run: loads exactly what Belady's optimum loads, each as early as the expert that leaves allows.

    horizon: MoE blocks to look ahead when loading early (0: one whole forward pass). Not implementable; a bracket.
    Nothing with as many slots loads fewer bytes. Yet its times are a heuristic's: to load more than the least can,
    now and then, be faster.
    """

    name = "oracle"
    needs_future = True
    extra_slots = 1  # what others need as a placeholder or spare is one more slot here

    def __init__(self, *, horizon: NonNegativeInt = 0) -> None:
        self.horizon = horizon

    def start(self, world: World) -> Sequence[Key]:
        """Begin with the experts that are needed first."""
        super().start(world)
        if world.future is None:
            raise ScheduleError("the oracle needs the future")
        self._index = FutureIndex(world.future)
        n_slots = world.n_slots + self.extra_slots
        first = list(islice(dict.fromkeys(key for batch in world.future for key in batch), n_slots))
        self._to_come = deque(exchanges(world.future, self._index, first, n_slots))
        self._early: set[Key] = set()
        return first

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Hits, loads that could not be early, and then loads for later blocks.

        A late expert whose victim is needed here as well comes in only when that one has been issued.
        """
        position = now.step * self.world.model.n_moe_layers + now.moe
        needed = {(now.layer, e) for e in now.tokens_of}
        hits = [key for key in sorted(needed) if p.resident(*key)]
        late = [self._to_come.popleft() for _ in range(len(needed) - len(hits))]
        for exchange in late:
            if exchange.victim not in needed:
                self._load(p, exchange, Reason.DEMAND)
        done = [resident_expert(p, now, e, ready, self._reason(now.layer, e)) for _, e in hits]
        for exchange in late:
            if exchange.victim in needed:
                self._load(p, exchange, Reason.DEMAND)
            done.append(resident_expert(p, now, exchange.key[1], ready, Reason.DEMAND))
        self._load_early(p, position)
        return done

    def _load_early(self, p: Program, position: int) -> None:
        """In the order of need, while the expert that leaves is not needed before."""
        horizon = position + (self.horizon or self.world.model.n_moe_layers)
        while self._to_come and self._to_come[0].due <= horizon:
            exchange = self._to_come[0]
            if exchange.victim and self._index.next_use(exchange.victim, position) <= exchange.due:
                return
            self._load(p, self._to_come.popleft(), Reason.PREFETCH)
            self._early.add(exchange.key)

    def _load(self, p: Program, exchange: Exchange, reason: Reason) -> None:
        if exchange.victim:
            p.drop(*exchange.victim)
        p.load(*exchange.key, reason=reason)

    def _reason(self, layer: int, expert: int) -> Reason:
        if (layer, expert) in self._early:
            self._early.discard((layer, expert))
            return Reason.PREFETCHED
        return Reason.HIT


def exchanges(
    future: Sequence[Sequence[Key]], index: FutureIndex[Key], first: Sequence[Key], n_slots: int
) -> Iterator[Exchange]:
    """Belady's decisions in order: resident experts of a block are used first, then the others come one by one."""
    cache: Belady[Key] = Belady(n_slots, index.next_use)
    cache.now = -1
    for key in first:
        cache.insert(key)
    for position, batch in enumerate(future):
        cache.now = position
        resident = {key for key in batch if key in cache}
        for key in batch:
            if key in resident:
                cache.touch(key)
        for key in (key for key in batch if key not in resident):
            victim = None if cache.fits(key) else cache.victim()
            if victim is not None:
                cache.remove(victim)
            cache.insert(key)
            yield Exchange(position, key, victim)
