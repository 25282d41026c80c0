"""Which strategies have a compiled twin: one that decides what they would, for a whole run at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sim.compiler import has_compiler
from sim.planning.cache import covers_cache, decide_cache
from sim.planning.decisions import Decisions
from sim.planning.guesses import Guesses
from sim.planning.on_demand import covers_on_demand, decide_on_demand
from sim.planning.passes import Passes
from sim.slots import Key
from sim.strategies.cache import Cache
from sim.strategies.on_demand import OnDemand
from sim.strategy import Strategy, World

Twin = Callable[[Any, World, Passes, Guesses, Sequence[Key]], Decisions]
"""Takes a strategy that has started, its world, the run, what it is told of routing to come (each next block, if it
`needs_predictor`), and who is on the GPU at first."""

_TWINS: dict[type[Strategy], tuple[Callable[[Any], bool], Twin]] = {
    Cache: (covers_cache, decide_cache),
    OnDemand: (covers_on_demand, decide_on_demand),
}


def twin_of(strategy: Strategy) -> Twin | None:
    """The twin of exactly this class with knobs that it covers, if Numba is there; the plain path serves all others."""
    if type(strategy) not in _TWINS or _altered(strategy) or not has_compiler():
        return None
    covers, twin = _TWINS[type(strategy)]
    return twin if covers(strategy) else None


def _altered(strategy: Strategy) -> bool:
    """Whether a method was replaced on the object itself."""
    return any(callable(getattr(type(strategy), name, None)) for name in vars(strategy))
