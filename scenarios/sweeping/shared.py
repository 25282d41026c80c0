"""What points of a sweep share within one worker: models, machines, routing, and plans."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np

from scenarios.load import ScenarioFile
from scenarios.resolve import Case, Entry
from scenarios.routing import Routing, recorded, synthetic
from scenarios.routing_presets import RoutingPreset, load_routing, routing_of
from scenarios.run import plan_entry, predictor_of
from scenarios.schema import TraceSpec, WorkloadSpec
from scenarios.sources import Sources
from scenarios.sweeping.identity import model_hash, recorded_key, synthetic_key
from scenarios.sweeping.lru import Lru
from scenarios.traces import find_trace
from sim.cost import CostModel
from sim.model import MoEModel
from sim.planning.compiled import Prepared, prepare
from sim.planning.twins import twin_of
from sim.retime import Retimer
from sim.schedule import COLUMNS, Schedule

_ROUTING_BYTES = 128 << 20
_PLAN_BYTES = 96 << 20
_PREPARED_BYTES = 64 << 20
_WITH_RETIMER = 4  # a schedule and what re-timing prepares of it, in sizes of its columns


@dataclass(frozen=True)
class Planned:
    """A schedule, and what gives it its times."""

    schedule: Schedule
    retimer: Retimer


class Shared(Sources):
    """Finds and draws each thing once, and plans once what machines have in common; not for several threads at once."""

    def __init__(self) -> None:
        self.n_planned = 0
        self._routing: Lru[Routing] = Lru(_ROUTING_BYTES, _routing_bytes)
        self._prepared: Lru[Prepared] = Lru(_PREPARED_BYTES, _prepared_bytes)
        self._plans: Lru[Planned] = Lru(_PLAN_BYTES, _plan_bytes)
        self.model = cache(super().model)  # type: ignore[method-assign]
        self.machine = cache(super().machine)  # type: ignore[method-assign]
        self._preset = cache(_preset)
        self._synthetic_key = cache(self._find_synthetic_key)

    def routing_key(self, file: ScenarioFile, model: MoEModel) -> str:
        """A name for the routing of a scenario that says all there is to it; raises InputError."""
        spec = file.spec
        if spec.trace is not None:
            return recorded_key(spec.trace, find_trace(spec.trace.file, file.folder))
        assert spec.workload is not None  # the schema sees to it
        return self._synthetic_key(spec.workload, model, spec.seed, file.folder)

    def synthetic(self, workload: WorkloadSpec, model: MoEModel, seed: int, folder: Path) -> Routing:
        """Routing of a workload, drawn once."""
        key = self._synthetic_key(workload, model, seed, folder)
        return self._routing.get(key) or self._routing.put(key, synthetic(workload, model, seed, folder))

    def recorded(self, spec: TraceSpec, path: Path) -> Routing:
        """Routing of a file, read once."""
        key = recorded_key(spec, path)
        return self._routing.get(key) or self._routing.put(key, recorded(spec, path))

    def _find_synthetic_key(self, workload: WorkloadSpec, model: MoEModel, seed: int, folder: Path) -> str:
        return synthetic_key(workload, model, seed, self._preset(workload.like, model, folder))

    def plan(self, case: Case, entry: Entry, costs: CostModel, routing: str) -> Planned:
        """What a strategy decides on the routing of that key: planned anew only if the machine matters to it."""
        said = entry.predictor and entry.predictor.model_dump_json()
        basis = (model_hash(case.model), routing, case.spec.batch, case.spec.seed)
        knobs = json.dumps(entry.spec.knobs, sort_keys=True)
        key = (basis, case.precisions, entry.spec.name, knobs, entry.fit.cached, said)
        planned = self._plans.get(key)
        if planned is None:
            self.n_planned += 1
            schedule = plan_entry(case, entry, costs, self._prepare(case, entry, (basis, said)))
            planned = Planned(schedule, Retimer(schedule))
            if schedule.portable:
                self._plans.put(key, planned)
        return planned

    def _prepare(self, case: Case, entry: Entry, key: Hashable) -> Prepared | None:
        """What plans of the same requests have in common, predictions too, for a strategy that is planned at once."""
        strategy = entry.strategy()
        if twin_of(strategy) is None:
            return None
        asks = strategy.needs_predictor
        found = self._prepared.get((key, asks))
        if found is None or found.trace is not case.trace:
            predictor = predictor_of(case, entry) if asks else None
            found = prepare(case.trace, case.model, batch=case.spec.batch, predictor=predictor)
            self._prepared.put((key, asks), found)
        return found


def _preset(like: str | None, model: MoEModel, folder: Path) -> RoutingPreset:
    return load_routing(like, folder) if like else routing_of(model)


def _routing_bytes(routing: Routing) -> int:
    traces = (trace for trace in (routing.trace, routing.calibration) if trace is not None)
    return sum(column.nbytes for trace in traces for column in trace.columns().values())


def _prepared_bytes(prepared: Prepared) -> int:
    parts = (prepared.passes, prepared.guesses)
    arrays = (getattr(part, field.name) for part in parts if part is not None for field in fields(part))
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))


def _plan_bytes(planned: Planned) -> int:
    ops = planned.schedule.ops
    columns = sum(int(getattr(ops, name).nbytes) for name in COLUMNS)
    return _WITH_RETIMER * (columns + ops.deps.offsets.nbytes + ops.deps.values.nbytes)
