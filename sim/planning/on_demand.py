"""The vectorised twin of the strategy `on-demand`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.planning.decisions import HIT, STREAM, Decisions, undecided
from sim.planning.guesses import Guesses
from sim.planning.passes import Passes
from sim.planning.written import keys_of
from sim.slots import Key
from sim.strategies.on_demand import OnDemand
from sim.strategy import World


def covers_on_demand(strategy: OnDemand) -> bool:
    """All that can stream."""
    return strategy.extra_slots > 0


def decide_on_demand(
    strategy: OnDemand, world: World, run: Passes, guesses: Guesses, start_slots: Sequence[Key]
) -> Decisions:
    """What stays is a hit for ever, all else is streamed."""
    model = world.model
    stays = np.zeros(model.n_slots_total, np.bool_)
    stays[keys_of(model, start_slots)] = True
    moe = np.repeat(np.arange(len(run.starts) - 1) % model.n_moe_layers, np.diff(run.starts))
    routed, guessed = undecided(run, guesses)
    routed["fate"] = np.where(stays[moe * model.n_experts + run.experts], HIT, STREAM)
    return Decisions(routed, guessed, blocking=strategy.blocking)
