"""Re-timing: the times of a Schedule under any costs, by the compiled engine or by the reference."""

from __future__ import annotations

from typing import Literal, get_args

from sim.cost import Costs
from sim.engine import simulate
from sim.schedule import Schedule
from sim.timeline import Timeline

EngineName = Literal["fast", "simpy"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


def retime(schedule: Schedule, costs: Costs, engine: EngineName = "fast") -> Timeline:
    """Give every op of `schedule` its times under `costs`; both engines keep the same rules (docs/semantics.md)."""
    return simulate(schedule, costs)
