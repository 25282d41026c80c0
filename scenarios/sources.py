"""Where the models, machines, routing and strategies of a scenario come from, by name or path."""

from __future__ import annotations

from pathlib import Path

from scenarios.machine_presets import load_machine
from scenarios.presets import load_model
from scenarios.routing import Routing, recorded, synthetic
from scenarios.schema import TraceSpec, WorkloadSpec
from sim.machine import Machine
from sim.model import MoEModel
from sim.strategies.registry import strategy_called
from sim.strategy import Strategy


class Sources:
    """Where models, machines and routing come from; whoever resolves many scenarios keeps what he has found."""

    def model(self, name: str | Path) -> MoEModel:
        """A model by name or path."""
        return load_model(name)

    def machine(self, name: str | Path) -> Machine:
        """A machine by name or path."""
        return load_machine(name)

    def synthetic(self, workload: WorkloadSpec, model: MoEModel, seed: int, folder: Path) -> Routing:
        """Routing drawn for a workload; a preset named by path is relative to `folder`."""
        return synthetic(workload, model, seed, folder)

    def recorded(self, spec: TraceSpec, path: Path) -> Routing:
        """Routing read from a file."""
        return recorded(spec, path)

    def strategy(self, name: str) -> type[Strategy]:
        """A strategy by name."""
        return strategy_called(name)
