"""Planning a whole run at once, for strategies that have a compiled twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.model import MoEModel
from sim.planning.guesses import Guesses, guesses, no_guesses
from sim.planning.passes import Passes, passes
from sim.planning.twins import Twin
from sim.planning.written import write
from sim.predict import Predictor
from sim.schedule import Schedule
from sim.slots import Key
from sim.strategy import Strategy, World
from sim.trace import RoutingTrace


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """What all plans of a trace at one batch size have in common, whatever the cache and the policy.

    `guesses` are of a predictor that the plans would be given with the same parameters, or None.
    """

    trace: RoutingTrace
    batch: int
    passes: Passes
    guesses: Guesses | None


def prepare(trace: RoutingTrace, model: MoEModel, *, batch: int = 1, predictor: Predictor | None = None) -> Prepared:
    """Lay out a run and ask a fresh predictor, if there is one, once for many plans."""
    run = passes(trace, model, batch)
    return Prepared(trace, batch, run, None if predictor is None else guesses(trace, model, batch, run, predictor))


def compiled_plan(
    twin: Twin, strategy: Strategy, world: World, start_slots: Sequence[Key], prepared: Prepared,
    predictor: Predictor | None,
) -> tuple[Schedule, Guesses]:  # fmt: skip
    """The Schedule of a strategy that has started, without meta data, and what it was told ahead."""
    model, run = world.model, prepared.passes
    told = no_guesses(run)
    if strategy.needs_predictor and predictor is not None:
        told = prepared.guesses or guesses(prepared.trace, model, prepared.batch, run, predictor)
    n_slots = world.n_slots + strategy.extra_slots
    decided = twin(strategy, world, run, told, start_slots)
    ops, steps = write(model, world.precisions, run, told, decided, start_slots, n_slots)
    schedule = Schedule(
        ops=ops, lanes=strategy.lanes(), steps=steps, model=model, precisions=world.precisions, n_slots=n_slots,
        start_slots=tuple(start_slots),
    )  # fmt: skip
    return schedule, told
