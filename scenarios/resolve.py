"""From a checked scenario to what it names: model, machine, routing, and strategies that fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.adjust import adjusted
from scenarios.fit import Fit, Setting, check_model, fit, requests_of
from scenarios.load import ScenarioFile
from scenarios.machine_presets import load_machine
from scenarios.presets import load_model
from scenarios.routing import Routing, recorded, synthetic
from scenarios.schema import PredictorSpec, Scenario, StrategySpec
from scenarios.traces import find_trace
from sim.errors import InputError
from sim.machine import Machine
from sim.model import MoEModel
from sim.plan import PREDICTOR_REMEDY, check_trace
from sim.precision import Precisions
from sim.strategies.registry import make_strategy
from sim.strategy import Strategy
from sim.trace import RoutingTrace


@dataclass(frozen=True)
class Entry:
    """One strategy of a case: what the scenario says of it, and how it fits the machine."""

    spec: StrategySpec
    predictor: PredictorSpec | None
    fit: Fit

    def strategy(self) -> Strategy:
        """A fresh instance: strategies keep state while they plan."""
        return make_strategy(self.spec.name, **self.spec.knobs)


@dataclass(frozen=True)
class Case:
    """A scenario with every name resolved and every contradiction refused."""

    spec: Scenario
    title: str
    model: MoEModel
    precisions: Precisions
    machine: Machine
    trace: RoutingTrace
    popularity: NDArray[np.int64]
    calibration: RoutingTrace | None
    entries: tuple[Entry, ...]


def resolve(file: ScenarioFile) -> Case:
    """Resolve all names of a scenario; raises InputError, with the line at fault, for what cannot be."""
    spec = file.spec
    with file.at("model"):
        model = load_model(named("model", spec.model, file))
    with file.at("machine"):
        machine = load_machine(named("machine", spec.machine, file))
    with file.at("machine_with"):
        machine = adjusted(machine, spec.machine_with)
    with file.at("stack"):
        machine.stack(spec.stack)
    routing = _routing(file, model)
    precisions = Precisions(**spec.precision.model_dump())
    setting = Setting(model, precisions, machine, requests_of(routing.trace, spec.batch))
    with file.at("model"):
        check_model(setting)
    entries = tuple(_entry(file, i, each, setting) for i, each in enumerate(spec.strategies))
    title = spec.title or f"{model.name} on {machine.name}"
    return Case(
        spec, title, model, precisions, machine, routing.trace, routing.popularity, routing.calibration, entries
    )


def named(field: str, name: str, file: ScenarioFile) -> str | Path:
    """A name of a model or machine, or a path that a scenario states relative to its own folder."""
    path = file.folder / name
    return path if field not in file.stated and path.is_file() else name


def _routing(file: ScenarioFile, model: MoEModel) -> Routing:
    spec = file.spec
    if spec.workload is not None:
        with file.at("workload"):
            return synthetic(spec.workload, model, spec.seed, file.folder)
    assert spec.trace is not None  # the schema sees to it
    with file.at("trace"):
        routing = recorded(spec.trace, find_trace(spec.trace.file, file.folder))
        check_trace(routing.trace, model)
    return routing


def _entry(file: ScenarioFile, i: int, spec: StrategySpec, setting: Setting) -> Entry:
    with file.at("strategies", i):
        strategy = make_strategy(spec.name, **spec.knobs)
        predictor = spec.predictor or file.spec.predictor
        if strategy.needs_predictor and predictor is None:
            raise InputError("needs a predictor", field="strategies.name", value=spec.name, remedy=PREDICTOR_REMEDY)
        setting.machine.stack(spec.stack)
        return Entry(spec, predictor, fit(strategy, spec.cache, file.spec.cache, setting))
