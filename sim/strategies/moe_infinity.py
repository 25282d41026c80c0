"""moe-infinity: a cache and prefetches led by the activation matrices of earlier requests (arXiv 2401.14361).

Paper, version 3: sections 4.5 to 4.7 and B.1. Code, read in TorchMoE/MoE-Infinity and EfficientMoE/MoE-Infinity
(expert_dispatcher.cpp, expert_predictor.py, expert_tracer.py, config.py): the released engines evict the expert with
the fewest visits and load on demand alone (`prefetch` is off, and no model that they support asks for any). Default:
the paper's, of which the published figures are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt

from sim.parts.activation import RequestTracer
from sim.parts.placement import popular_placement
from sim.parts.prefetching import PrefetchQueue
from sim.parts.scored import Exchange, Score, ScoredCache
from sim.program import WORKER, Program, default_lanes
from sim.schedule import Lane, Reason
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, resident_expert

EPSILON = 1e-8  # ε has no value in the paper; the code adds this to its matrices


class Plan(NamedTuple):
    """What a layer lacks, with who makes room for it; what finds no room; what to prefetch, those that wait first."""

    demanded: list[Exchange]
    crowded: list[Key]
    prefetched: list[Exchange]


class MoEInfinity(Strategy):
    """One cache for all blocks; demand loads overtake prefetches, which are reconsidered at every layer.

    eam: the activation matrix to be matched is that of this forward pass (`iteration`, as in the paper's version 3) or
    of the `request` so far (as in the code's tracer). eamc: matrices of earlier requests that are kept (120, figure 9;
    the code's default is 1000). queue: prefetches waiting at one time (ours: enough to keep a link busy until the next
    layer). match_us: one query (21, section B.1), for which prefetches wait and nothing else does.
    """

    name = "moe-infinity"
    extra_slots = 1  # what others need as a placeholder is one more slot here

    def __init__(
        self, *, variant: Literal["paper", "code"] = "paper", eam: Literal["iteration", "request"] = "iteration",
        eamc: PositiveInt = 120, queue: PositiveInt = 4, match_us: NonNegativeFloat = 21.0,
    ) -> None:  # fmt: skip
        self.variant, self.eam, self.eamc = variant, eam, eamc
        self.queue, self.match_us = queue, match_us
        self.asks_clock = variant == "paper"

    def lanes(self) -> tuple[Lane, ...]:
        """Uploads queue by priority if anything is prefetched."""
        return default_lanes(copy_priority=self.variant == "paper")

    def start(self, world: World) -> Sequence[Key]:
        """Begin with the popular experts cached, and with the matrices of the calibration's sequences."""
        super().start(world)
        keys = popular_placement(world.model, world.popularity, world.n_slots + self.extra_slots)
        shape = world.model.n_moe_layers, world.model.n_experts
        self._tracer = RequestTracer(
            shape, self.eamc, calibration=world.calibration, whole_request=self.eam == "request"
        )
        self._visits = np.zeros(shape)
        self._cache = ScoredCache(world.model, keys)
        self._prefetches = PrefetchQueue(self._cache)
        return keys

    def end_sequences(self, p: Program) -> None:
        """Keep the request's matrices."""
        self._tracer.end_request()

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """Loads first; then what is on the GPU (in the code: all in order), what was loaded, what found no room."""
        self._visits[now.moe, list(now.tokens_of)] += 1
        self._tracer.see(now.phase, now.step, now.moe, now.tokens_of)
        plan = self._reconsidered(p, now)
        hits = [e for e in now.tokens_of if (now.layer, e) in self._cache]
        for exchange in plan.demanded:
            self._load(p, exchange)
        self._prefetch(p, plan.prefetched[len(self._prefetches) :], ready)
        placed = [*hits, *(e for (_, e), _ in plan.demanded)]
        ordered = placed if self.variant == "paper" else sorted(placed)
        done = {e: self._run(p, now, e, ready, hit=e in hits) for e in ordered}
        for key in plan.crowded:
            self._load(p, (key, self._cache.lowest(self.worth(), ((now.layer, e) for e in done))))
            done[key[1]] = self._run(p, now, key[1], ready, hit=False)
        return list(done.values())

    def worth(self) -> Score:
        """What it is worth to keep each expert: Algorithm 1, line 12; in the code its visits, ties by its number."""
        n_layers, n_experts = self._visits.shape
        layer = np.arange(n_layers)[:, None]
        if self.variant == "code":
            ties: Score = (np.arange(n_experts) * n_layers + layer) / self._visits.size
            return self._visits + ties
        p = self._tracer.likelihood()
        n_token = p.sum(axis=1, keepdims=True)
        score: Score = (p + EPSILON) / np.where(n_token > 0, n_token, 1) * (1 - layer / n_layers)
        return score

    def priority(self, moe: int) -> Score:
        """Which experts of later layers to prefetch first: PredictEAM with its layer proximity; 0 is not at all."""
        p = self._tracer.likelihood()
        distance = np.arange(len(p))[:, None] - moe
        score: Score = p * (1 - distance / len(p)) * (distance > 0)
        return score

    def _plan(self, p: Program, now: LayerPass) -> Plan:
        """Demand takes the place of what is worth least; a prefetch that of what is worth less than itself."""
        needed = [(now.layer, e) for e in now.tokens_of]
        missing = [key for key in needed if key not in self._cache]
        more = self.queue - len(self._prefetches) if self.variant == "paper" else 0
        worth = self.worth()
        leaving = self._cache.leaving(worth, len(missing) + more, free=p.slots.free, spared=needed)
        demanded = list(zip(missing, leaving, strict=False))
        victims = [*(victim for _, victim in self._prefetches.waiting), *leaving[len(missing) :]]
        wanted = self._cache.absent(self.priority(now.moe)) if victims else []
        return Plan(demanded, missing[len(demanded) :], self._cache.worthwhile(wanted, victims, worth))

    def _reconsidered(self, p: Program, now: LayerPass) -> Plan:
        """The plan, once prefetches are withdrawn that wait in another order or for the place of what is needed."""
        self._prefetches.take_begun(p)
        plan, waiting = self._plan(p, now), self._prefetches.waiting
        given_up = {victim for _, victim in waiting}
        stale = plan.prefetched[: len(waiting)] != waiting or any(key in given_up for key, _ in plan.demanded)
        if waiting and (stale or plan.crowded):
            self._prefetches.withdraw(p)
            plan = self._plan(p, now)
        return plan

    def _load(self, p: Program, exchange: Exchange) -> None:
        key, victim = exchange
        if victim is not None:
            p.drop(*victim)
            self._cache.leave(victim)
        p.load(*key)
        self._cache.enter(key)

    def _prefetch(self, p: Program, exchanges: Sequence[Exchange], ready: int) -> None:
        after = [p.software(self.match_us / 1e6, lane=WORKER, after=[ready])] if exchanges and self.match_us else []
        for exchange in exchanges:
            self._prefetches.add(p, exchange, after)

    def _run(self, p: Program, now: LayerPass, expert: int, ready: int, *, hit: bool) -> int:
        prefetched = self._prefetches.first_use((now.layer, expert))
        reason = (Reason.PREFETCHED if prefetched else Reason.HIT) if hit else Reason.DEMAND
        return resident_expert(p, now, expert, ready, reason)
