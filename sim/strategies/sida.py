"""sida: sparsity-inspired data-aware serving (Du et al.; SiDA-MoE, MLSys 2024, arXiv 2310.18859).

Code: timlee0212/SiDA-MoE, src/latency_with_hash.py, src/utils/manager.py, src/model/soda_moe.py and predictor.py.

* A hash-building thread turns the token embeddings of batch j + 1 into a table, the predicted experts of every token
  and MoE layer, while the inference thread runs batch j. The inference thread waits for the first table only.
* The experts in the table, the union over the batch, are loaded; those of the layer that are not in it are sent back.
  A layer's next loads may start when it has finished the present batch. Past the budget, first in is first out.
* The forward pass runs the table's experts. No router runs, nothing is computed on the CPU.

`variant: paper` is that, one batch at a time. `variant: code` is what the released scripts do, and so, we take it, what
the published throughputs were measured with: tables for `step` samples (64) at once, whose union is moved between
them, every copy waited for; no budget, so that it takes no `cache`; and a loop over all experts of a layer, for each
of the `top` ranks, that asks the GPU whether one has tokens. Paper is the default: a scenario's `cache` is a budget.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from sim.errors import InputError
from sim.model import MoEModel
from sim.parts.eager import looked_at, one_at_a_time
from sim.parts.hash_tables import HashTable, HashThread
from sim.parts.load_ahead import LoadQueue
from sim.parts.resident import ExpertCache
from sim.plan import tokens_of
from sim.program import Program
from sim.schedule import Reason
from sim.slots import Key
from sim.strategies.cache import Cache
from sim.strategy import LayerPass, World
from sim.trace import ExpertIds


class Sida(Cache):
    """A FIFO cache that is filled from tables of what the next batch will need, and runs what the tables say.

    top: experts a token in the table, all of which run (default 0: the router's top-k; paper: 1 for SST-2, 3 for MRPC
    and MultiRC; the scripts' default: 1). The predictor's recall in the scenario is then the table's hit rate.
    hash_us: of the hash-building thread for each token of the longest sentence. Not published. Its network (768 to
    256, two LSTM layers of 256, attention, a head a layer) goes token by token: two layers of two small dependent
    kernels, some 5 µs each on a GPU (judgement; on one core of a server we measured 50 µs a token).
    evict: sending back is a copy (`swap`, as the code's `.to("cpu")`) or forgetting (`drop`).
    step: samples that share a step in the code (its `--step_size`).
    """

    name = "sida"
    lossy = True

    def __init__(
        self, *, variant: Literal["paper", "code"] = "paper", top: NonNegativeInt = 0, hash_us: NonNegativeFloat = 20.0,
        evict: Literal["drop", "swap"] = "swap", step: PositiveInt = 64,
    ) -> None:  # fmt: skip
        self.in_steps, self.top, self.hash_us, self.step = variant == "code", top, hash_us, step
        super().__init__(
            policy="fifo", scope="global", evict=evict, spare=int(not self.in_steps), priority=not self.in_steps
        )
        self.needs_predictor = True
        self.lookahead = 2 * step - 1 if self.in_steps else 1

    def slots(self, model: MoEModel) -> int | None:
        """The code has no budget."""
        return model.n_slots_total if self.in_steps else None

    def start(self, world: World) -> Sequence[Key]:
        """Begin with no expert on the GPU; raises InputError if a token is to have more experts than there are."""
        super().start(world)
        if self.top > world.model.n_experts:
            raise InputError(
                f"{world.model.name} has only {world.model.n_experts} experts a block", field="strategies.top",
                value=self.top, remedy=f"give at most {world.model.n_experts}, or 0 for the router's top-k",
            )  # fmt: skip
        self.cache = ExpertCache("fifo", world.model.moe_layers, world.n_slots, scope="global")
        self._queue = LoadQueue(self.cache, swap=self.evict == "swap")
        self._ranks = self.top or world.model.top_k
        self._thread = HashThread(world, top=self._ranks, us_a_token=self.hash_us)
        self._tables: list[HashTable] = []  # of the present pass and those that share its step
        self._next: list[HashTable] = []
        self._step = -1
        return ()

    def before_layer(self, p: Program, layer: int, moe: int) -> None:
        """Where a forward pass begins, turn to its table."""
        if (present := p.step) != self._step:
            self._step, self._tables = present, self._tables[1:]
            if not self._tables:
                self._begin_step(p)
            self._load_ahead(p, -1)

    def _begin_step(self, p: Program) -> None:
        """Take the tables that were built ahead, or have them built and wait; then have the next ones built."""
        most = max(1, self.step // p.sequences) if self.in_steps else 1
        ahead = bool(self._next)
        known = [] if p.hidden is None else [p.hidden]
        self._tables = self._next or self._thread.build(p, 0, most, after=known)
        if self.in_steps or not ahead:
            p.wait(self._tables[0].built)
        self._next = self._thread.build(p, len(self._tables), most)
        for moe in range(p.model.n_moe_layers):
            if self.in_steps:
                self._move(p, moe)
            elif not ahead:
                self._ask_for(p, moe, self._tables[0], self._step, [self._tables[0].built])

    def moe_layer(self, p: Program, now: LayerPass) -> ExpertIds:
        """The experts of the table; then the layer is free for the next batch."""
        ids, ready = self._tables[0].ids[now.moe], p.hidden
        assert ready is not None
        now = replace(now, ids=ids, tokens_of=tokens_of(ids, int(np.iinfo(ids.dtype).max)), weights=None)
        done = self._loop(p, now, ready) if self.in_steps else self.experts(p, now, ready)
        if p.model.shared_hidden:
            done.append(p.shared(now.layer, after=[ready]))
        combined = p.combine(now.layer, after=done)
        if self._next and not self.in_steps:
            self._ask_for(p, now.moe, self._next[0], self._step + 1, [self._next[0].built, combined])
        self._load_ahead(p, now.moe)
        return ids

    def _ask_for(self, p: Program, moe: int, table: HashTable, step: int, after: list[int]) -> None:
        """Send back what a layer does not need in that pass, and ask for what it does."""
        layer, needed = p.model.moe_layers[moe], table.experts[moe]
        for key in self._idle(p, layer, needed):
            self.cache.evict(p, key, swap=self.evict == "swap", after=after)
        self._queue.ask(step, [(layer, expert) for expert in needed], after)

    def _idle(self, p: Program, layer: int, needed: Container[int]) -> list[Key]:
        return [(layer, e) for e in range(p.model.n_experts) if e not in needed and (layer, e) in self.cache]

    def _load_ahead(self, p: Program, moe: int) -> None:
        """Block `moe` of this pass has been issued: load as far as room allows."""
        blocks = list(zip(p.model.moe_layers, self._tables[0].experts, strict=True))
        needed = {(block, e) for block, experts in blocks[moe + 1 :] for e in experts}
        self._prefetched.update(self._queue.load(p, self._step, blocks[moe][0] if moe >= 0 else -1, needed))

    def _move(self, p: Program, moe: int) -> None:
        """The code: send back what a layer needs in no pass of the step, then bring the rest, copy by copy."""
        layer, needed = p.model.moe_layers[moe], {e for table in self._tables for e in table.experts[moe]}
        for key in self._idle(p, layer, needed):
            if (copy := self.cache.evict(p, key, swap=self.evict == "swap")) is not None:
                p.wait(copy)
        for key in [(layer, e) for e in sorted(needed) if (layer, e) not in self.cache]:
            load = self.cache.admit(p, key, protected=(), reason=Reason.PREFETCH)
            assert load is not None
            p.wait(load)
            self._prefetched.add(key)

    def _loop(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        """The code: ask the GPU about every expert, and run those that have tokens."""
        done = one_at_a_time(p, now, ready, lambda expert: self._reason(now.layer, expert))
        looked_at(p, self.world, experts=p.model.n_experts * self._ranks, ran=len(done))
        return done
