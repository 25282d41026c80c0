"""Eager loops over experts, in which a mask picks an expert's tokens and the host waits for it: what that costs."""

from __future__ import annotations

from collections.abc import Callable

from sim.parts.misses import machine_costs
from sim.program import Program
from sim.schedule import Kind, Reason
from sim.strategy import LayerPass, World, resident_expert

TRIPS = 2  # round trips to the GPU that the loop makes for each expert it looks at


def one_at_a_time(p: Program, now: LayerPass, ready: int, reason: Callable[[int], Reason]) -> list[int]:
    """The experts that have tokens, each waited for: the next mask is read back only when the GPU is done."""
    done = []
    for expert in now.tokens_of:
        done.append(resident_expert(p, now, expert, ready, reason(expert)))
        p.wait(done[-1])
    return done


def looked_at(p: Program, world: World, *, experts: int, ran: int, launched: int = 0) -> int:
    """The rest of the loop over `experts`, of which `ran` were run and waited for and `launched` more had no tokens.

    On the host, at the prices of the stack: round trips as synchronisations, launches without tokens as an expert's.
    Raises InputError without a machine.
    """
    costs = machine_costs(world)
    return p.software((TRIPS * experts - ran) * costs.stack.sync_s + launched * costs.dispatch_s(Kind.EXPERT))
