"""Decides and predicts: a Trace, a Model and a Strategy give a Schedule; a Schedule and a Machine give a Timeline."""

from typing import TYPE_CHECKING

from sim.lazy import lazily

if TYPE_CHECKING:
    from sim.bounds import Bounder, bounds
    from sim.cost import CostModel
    from sim.critical_path import critical_path
    from sim.errors import InputError, MoesimError
    from sim.gap import gap
    from sim.machine import Machine
    from sim.metrics import summarise
    from sim.model import MoEModel
    from sim.plan import plan
    from sim.precision import Precisions
    from sim.program import Program
    from sim.retime import retime
    from sim.schedule import Schedule
    from sim.strategies.registry import make_strategy
    from sim.strategy import LayerPass, Strategy, World
    from sim.synth import synthesize
    from sim.timeline import Timeline
    from sim.timeline_diff import difference
    from sim.trace import RoutingTrace

__all__ = [
    "Bounder",
    "CostModel",
    "InputError",
    "LayerPass",
    "Machine",
    "MoEModel",
    "MoesimError",
    "Precisions",
    "Program",
    "RoutingTrace",
    "Schedule",
    "Strategy",
    "Timeline",
    "World",
    "bounds",
    "critical_path",
    "difference",
    "gap",
    "make_strategy",
    "plan",
    "retime",
    "summarise",
    "synthesize",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "sim.bounds": ("Bounder", "bounds"),
        "sim.cost": ("CostModel",),
        "sim.critical_path": ("critical_path",),
        "sim.errors": ("InputError", "MoesimError"),
        "sim.gap": ("gap",),
        "sim.machine": ("Machine",),
        "sim.metrics": ("summarise",),
        "sim.model": ("MoEModel",),
        "sim.plan": ("plan",),
        "sim.precision": ("Precisions",),
        "sim.program": ("Program",),
        "sim.retime": ("retime",),
        "sim.schedule": ("Schedule",),
        "sim.strategies.registry": ("make_strategy",),
        "sim.strategy": ("LayerPass", "Strategy", "World"),
        "sim.synth": ("synthesize",),
        "sim.timeline": ("Timeline",),
        "sim.timeline_diff": ("difference",),
        "sim.trace": ("RoutingTrace",),
    },
)
