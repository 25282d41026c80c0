"""What points of a sweep share within one worker: models, machines, routing, and plans."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from scenarios.load import ScenarioFile
from scenarios.resolve import Case, Entry, Sources
from scenarios.routing import Routing, recorded, synthetic
from scenarios.routing_presets import RoutingPreset, load_routing, routing_of
from scenarios.run import plan_entry
from scenarios.schema import TraceSpec, WorkloadSpec
from scenarios.sweeping.identity import model_hash, recorded_key, synthetic_key
from scenarios.sweeping.lru import Lru
from scenarios.traces import find_trace
from sim.cost import CostModel
from sim.model import MoEModel
from sim.schedule import COLUMNS, Schedule

_ROUTING_BYTES = 192 << 20
_PLAN_BYTES = 192 << 20
_PREPARED = 4  # a schedule with what re-timing prepares of it, in sizes of its columns


class Shared(Sources):
    """Finds and draws each thing once, and plans once what machines have in common; not for several threads at once."""

    def __init__(self) -> None:
        self.planned = 0  # plans made so far, for tests to count
        self._routing: Lru[Routing] = Lru(_ROUTING_BYTES, _routing_bytes)
        self._plans: Lru[Schedule] = Lru(_PLAN_BYTES, _schedule_bytes)
        self.model = cache(super().model)  # type: ignore[method-assign]
        self.machine = cache(super().machine)  # type: ignore[method-assign]
        self._preset = cache(_preset)

    def routing_key(self, file: ScenarioFile, model: MoEModel) -> str:
        """A name for the routing of a scenario that says all there is to it; raises InputError."""
        spec = file.spec
        if spec.trace is not None:
            return recorded_key(spec.trace, find_trace(spec.trace.file, file.folder))
        assert spec.workload is not None  # the schema sees to it
        preset = self._preset(spec.workload.like, model, file.folder)
        return synthetic_key(spec.workload, model, spec.seed, preset)

    def synthetic(self, workload: WorkloadSpec, model: MoEModel, seed: int, folder: Path) -> Routing:
        """Routing of a workload, drawn once."""
        key = synthetic_key(workload, model, seed, self._preset(workload.like, model, folder))
        return self._routing.get(key) or self._routing.put(key, synthetic(workload, model, seed, folder))

    def recorded(self, spec: TraceSpec, path: Path) -> Routing:
        """Routing of a file, read once."""
        key = recorded_key(spec, path)
        return self._routing.get(key) or self._routing.put(key, recorded(spec, path))

    def plan(self, case: Case, entry: Entry, costs: CostModel, routing: str) -> Schedule:
        """What a strategy decides on the routing of that key: planned anew only if the machine matters to it."""
        said = entry.predictor and entry.predictor.model_dump_json()
        knobs = json.dumps(entry.spec.knobs, sort_keys=True)
        common = (model_hash(case.model), case.precisions, routing, case.spec.batch, case.spec.seed)
        key = (*common, entry.spec.name, knobs, entry.fit.cached, said)
        schedule = self._plans.get(key)
        if schedule is None:
            self.planned += 1
            schedule = plan_entry(case, entry, costs)
            if schedule.portable:
                self._plans.put(key, schedule)
        return schedule


def _preset(like: str | None, model: MoEModel, folder: Path) -> RoutingPreset:
    return load_routing(like, folder) if like else routing_of(model)


def _routing_bytes(routing: Routing) -> int:
    traces = (trace for trace in (routing.trace, routing.calibration) if trace is not None)
    return sum(column.nbytes for trace in traces for column in trace.columns().values())


def _schedule_bytes(schedule: Schedule) -> int:
    ops = schedule.ops
    columns = sum(getattr(ops, name).nbytes for name in COLUMNS)
    return _PREPARED * int(columns + ops.deps.offsets.nbytes + ops.deps.values.nbytes)
