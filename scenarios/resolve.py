"""From a checked scenario to what it names: model, machine, routing, and strategies that fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.adjust import adjusted
from scenarios.fit import Fit, Setting, check_model, fit, requests_of
from scenarios.load import ScenarioFile
from scenarios.routing import Routing, synthetic
from scenarios.schema import PredictorSpec, Scenario, StrategySpec
from scenarios.sources import Sources
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
    """One strategy of a case: what the scenario says of it, how it fits the machine, and its class."""

    spec: StrategySpec
    predictor: PredictorSpec | None
    fit: Fit
    kind: type[Strategy]

    def strategy(self) -> Strategy:
        """A fresh instance: strategies keep state while they plan."""
        return make_strategy(self.kind, **self.spec.knobs)


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

    def stack_of(self, entry: Entry) -> str | None:
        """The software stack that an entry is priced with; None: the machine's first."""
        return entry.spec.stack or self.spec.stack


def resolve(file: ScenarioFile) -> Case:
    """Resolve all names of a scenario; raises InputError, with the line at fault, for what cannot be."""
    case = resolve_setting(file)
    return replace(case, entries=tuple(resolve_entry(file, case, i) for i in range(len(file.spec.strategies))))


def resolve_setting(file: ScenarioFile, sources: Sources | None = None) -> Case:
    """All of a scenario but its strategies; raises InputError."""
    sources = sources or file.sources or Sources()
    return resolve_routing(file, *resolve_machines(file, sources), sources)


def resolve_routing(file: ScenarioFile, model: MoEModel, machine: Machine, sources: Sources) -> Case:
    """The same, of a scenario whose model and machine are resolved."""
    spec, routing = file.spec, _routing(file, model, sources)
    precisions = Precisions(**spec.precision.model_dump())
    with file.at("model"):
        check_model(Setting(model, precisions, machine, requests_of(routing.trace, spec.batch)))
    title = spec.title or f"{model.name} on {machine.name}"
    return Case(spec, title, model, precisions, machine, routing.trace, routing.popularity, routing.calibration, ())


def resolve_machines(file: ScenarioFile, sources: Sources) -> tuple[MoEModel, Machine]:
    """The model, and the machine with its numbers changed; raises InputError."""
    spec = file.spec
    with file.at("model"):
        model = sources.model(named("model", spec.model, file))
    with file.at("machine"):
        machine = sources.machine(named("machine", spec.machine, file))
    with file.at("machine_with"):
        machine = adjusted(machine, spec.machine_with)
    with file.at("stack"):
        machine.stack(spec.stack)
    return model, machine


def reseeded(case: Case, file: ScenarioFile, seed: int) -> Case:
    """The case of a synthetic workload with other requests; what is cached stays, whatever their lengths."""
    assert case.spec.workload is not None
    routing = synthetic(case.spec.workload, case.model, seed, file.folder)
    return replace(
        case, spec=case.spec.model_copy(update={"seed": seed}), trace=routing.trace, popularity=routing.popularity,
        calibration=routing.calibration,
    )  # fmt: skip


def named(field: str, name: str, file: ScenarioFile) -> str | Path:
    """A name of a model or machine, or a path that a scenario states relative to its own folder."""
    path = file.folder / name
    return path if field not in file.stated and path.is_file() else name


def _routing(file: ScenarioFile, model: MoEModel, sources: Sources) -> Routing:
    spec = file.spec
    if spec.workload is not None:
        with file.at("workload"):
            return sources.synthetic(spec.workload, model, spec.seed, file.folder)
    assert spec.trace is not None  # the schema sees to it
    with file.at("trace"):
        routing = sources.recorded(spec.trace, find_trace(spec.trace.file, file.folder))
        check_trace(routing.trace, model)
    return routing


def resolve_entry(file: ScenarioFile, case: Case, i: int) -> Entry:
    """Strategy number `i` of a scenario whose setting is resolved; raises InputError."""
    spec = file.spec.strategies[i]
    setting = Setting(case.model, case.precisions, case.machine, requests_of(case.trace, case.spec.batch))
    with file.at("strategies", i):
        kind = (file.sources or Sources()).strategy(spec.name)
        strategy = make_strategy(kind, **spec.knobs)
        predictor = spec.predictor or file.spec.predictor
        if strategy.needs_predictor and predictor is None:
            raise InputError("needs a predictor", field="strategies.name", value=spec.name, remedy=PREDICTOR_REMEDY)
        setting.machine.stack(spec.stack)
        return Entry(spec, predictor, fit(strategy, spec.cache, file.spec.cache, setting), kind)
