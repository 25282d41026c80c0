"""The compiled twin of the strategy `cache`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.op_classes import block_classes
from sim.parts.misses import cpu_is_cheaper
from sim.planning.decisions import Decisions, undecided
from sim.planning.guesses import Guesses
from sim.planning.passes import Passes
from sim.planning.policies import COMPILED
from sim.planning.written import keys_of
from sim.slots import Key
from sim.strategies.cache import Cache
from sim.strategy import World

_FETCH, _CPU, _UNKNOWN = 0, 1, -1


def covers_cache(strategy: Cache) -> bool:
    """All knobs, but not every policy."""
    return strategy.policy in COMPILED and strategy.extra_slots >= 0


def decide_cache(strategy: Cache, world: World, run: Passes, guesses: Guesses, start_slots: Sequence[Key]) -> Decisions:
    """What `Cache.experts` decides for every block of a run."""
    from sim.planning.kernels.book import empty_book
    from sim.planning.kernels.decide import decide, warm

    model = world.model
    book = empty_book(strategy.policy, strategy.cache.capacities, model.n_moe_layers, model.n_experts)
    warm(book, keys_of(model, start_slots)[::-1].copy())
    routed, guessed = undecided(run, guesses)
    to_cpu, price_class = _choices(strategy, world, run)
    cell = 0
    while True:
        cell, expert, tokens = decide(book, run.starts, routed, guesses.starts, guessed, to_cpu, price_class, cell)
        if cell == len(run.starts) - 1:
            break
        moe = cell % model.n_moe_layers
        to_cpu[price_class[moe], tokens] = cpu_is_cheaper(world, model.moe_layers[moe], expert, tokens)
    return Decisions(routed, guessed, swap=strategy.evict == "swap")


def _choices(strategy: Cache, world: World, run: Passes) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Whether misses go to the CPU [class of blocks, tokens], as far as that is known, and the class of each block.

    Prices are asked for as they come to matter: a plan neither weighs nor warns of one that it can do without.
    """
    if strategy.miss != "cheaper":
        only = np.full((1, 1), _CPU if strategy.miss == "cpu" else _FETCH, np.int8)
        return only, np.zeros(world.model.n_moe_layers, np.int64)
    _, price_class = np.unique(block_classes(world.model)[list(world.model.moe_layers)], return_inverse=True)
    most = int(run.counts.max(initial=0))
    return np.full((int(price_class.max()) + 1, most + 1), _UNKNOWN, np.int8), price_class
