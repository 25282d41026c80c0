"""The strategies that advice considers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scenarios.fit import Setting, fit
from scenarios.schema import StrategySpec
from sim.errors import DoesNotFit
from sim.strategies.registry import make_strategy, strategies

Knobs = dict[str, Any]


@dataclass(frozen=True)
class Contender:
    """A strategy with its knobs under a name that says what it does.

    `fitted` gives the knobs that depend on the room there is. `sized`: it takes any number of cached experts.
    `steady`: it does the same at every step. `released`: it is a program to be had, for about any model.
    """

    label: str
    name: str
    knobs: Knobs = field(default_factory=dict)
    sized: bool = True
    steady: bool = False
    released: bool = False
    fitted: Callable[[Setting], Knobs] | None = None

    @property
    def lossy(self) -> bool:
        """Whether it may run other experts than the router's."""
        return strategies()[self.name].lossy

    def spec(self, setting: Setting) -> StrategySpec:
        """What a scenario for the setting says of it."""
        knobs = self.knobs | (self.fitted(setting) if self.fitted else {})
        label = self.label.format(**knobs)
        return StrategySpec(name=self.name, label=label, **knobs)


def _fewest_cpu_blocks(setting: Setting) -> Knobs:
    """Of llama.cpp: as many blocks' experts on the GPU as fit."""
    for blocks in range(setting.model.n_layers):
        try:
            fit(make_strategy("llama-cpp", n_cpu_moe=blocks), None, "auto", setting)
        except DoesNotFit:
            continue
        return {"n_cpu_moe": blocks}
    return {"n_cpu_moe": "all"}


_MISSES = {"fetch": "misses fetched", "cpu": "misses computed on the CPU", "cheaper": "a miss goes where it is cheaper"}


def caching(miss: str, policy: str = "lru", *, prefetch: bool = False) -> Contender:
    """An expert cache of one rule for misses, one policy, with or without prefetch behind demand."""
    label = f"{policy.upper()} cache, {_MISSES[miss]}{', prefetch' if prefetch else ''}"
    knobs: Knobs = {"miss": miss} | ({"policy": policy} if policy != "lru" else {})
    return Contender(label, "cache", knobs | ({"prefetch": True, "priority": True} if prefetch else {}))


ALL_RESIDENT = Contender("all experts on the GPU", "all-resident", sized=False)
LLAMA_CPP = Contender(
    "llama.cpp --n-cpu-moe {n_cpu_moe}", "llama-cpp", sized=False, released=True, fitted=_fewest_cpu_blocks
)
RULES = tuple(caching(miss) for miss in _MISSES)
OTHERS = (
    Contender("Fiddler", "fiddler"),
    Contender("whole layers streamed", "layer-streaming", sized=False, steady=True),
)
LOSSY = (Contender("DAOP", "daop"),)
