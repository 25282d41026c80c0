"""What a worker does: every strategy at every point of a chunk, each a row, whatever becomes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scenarios.load import ScenarioFile, check_scenario
from scenarios.resolve import Case, resolve_entry, resolve_machines, resolve_routing
from scenarios.run import costs_of_entry
from scenarios.sweeping.axes import Axis
from scenarios.sweeping.columns import DONE, Row, unknown
from scenarios.sweeping.figures import FIGURES, Outcome
from scenarios.sweeping.identity import scenario_hash
from scenarios.sweeping.points import Choices, Chunk, changes
from scenarios.sweeping.shared import Shared
from scenarios.sweeping.spec import ConstraintSpec
from scenarios.vary import changed
from scenarios.yaml_file import YamlFile
from sim.errors import InputError, MoesimError
from sim.machine import Power
from sim.metrics import summarise
from sim.timeline import Timeline

_mine = threading.local()  # a worker of Dask may have several threads


@dataclass(frozen=True)
class Ground:
    """What all points of a sweep start from. `key` says all that it rests on, files included."""

    key: str
    scenario: Mapping[str, Any]
    source: YamlFile
    location: tuple[str | int, ...]
    axes: tuple[Axis, ...]
    constraints: tuple[ConstraintSpec, ...]
    prices: Mapping[str, float]
    power: Mapping[str, Mapping[Literal["gpu", "cpu"], Power]]

    def scenario_at(self, choices: Choices) -> ScenarioFile:
        """The scenario of a point; raises InputError if there can be none."""
        return check_scenario(self.source, changed(self.scenario, changes(self.axes, choices)))


def evaluate(ground: Ground, chunk: Chunk) -> list[Row]:
    """The rows of a chunk, point by point and in the order of the strategies; it never raises an error."""
    shared = _shared_by(ground.key)
    return [
        row for point, at in zip(chunk.points, chunk.choices, strict=True) for row in rows(ground, shared, point, at)
    ]


def rows(ground: Ground, shared: Shared, point: int, choices: Choices) -> Iterator[Row]:
    """A row for each strategy at a point, or one alone if there is no telling which they are."""
    common = unknown(point, ground.axes, choices)
    try:
        file = ground.scenario_at(choices)
    except Exception as error:
        yield common | {"reason": reason(error)}
        return
    labels = [spec.title for spec in file.spec.strategies]
    try:
        model, machine = resolve_machines(file, shared)
        routing = shared.routing_key(file, model)
        common["scenario"] = scenario_hash(file.spec, model, machine, routing)
        case = resolve_routing(file, model, machine, shared)
    except Exception as error:
        yield from (common | {"strategy": label, "reason": reason(error)} for label in labels)
        return
    for i, label in enumerate(labels):
        try:
            figures = _figures(ground, shared, file, case, routing, i)
        except Exception as error:
            yield common | {"strategy": label, "reason": reason(error)}
        else:
            yield common | {"strategy": label, "status": DONE, **figures}


def _figures(ground: Ground, shared: Shared, file: ScenarioFile, case: Case, routing: str, i: int) -> Row:
    """All figures of one strategy, and whether it takes part in the comparison."""
    entry = resolve_entry(file, case, i)
    costs = costs_of_entry(case, entry)
    planned = shared.plan(case, entry, costs, routing)
    times = planned.retimer.times(costs.of_schedule(planned.schedule))
    summary = summarise(Timeline(planned.schedule, times))
    power = case.machine.power | dict(ground.power.get(file.spec.machine, {}))
    outcome = Outcome(summary, entry.fit, power, ground.prices.get(file.spec.machine))
    figures = {name: figure.read(outcome) for name, figure in FIGURES.items()}
    possible = entry.fit.fits and not entry.kind.needs_future
    return figures | {"feasible": possible and all(_kept(figures, bound) for bound in ground.constraints)}


def _kept(figures: Mapping[str, float | None], bound: ConstraintSpec) -> bool:
    value = figures[bound.figure]
    if value is None:
        return False
    return (bound.at_most is None or value <= bound.at_most) and (bound.at_least is None or value >= bound.at_least)


def reason(error: Exception) -> str:
    """Why a point failed, in a line: without the place in a file, for the point's own columns say what is at fault."""
    if not isinstance(error, MoesimError):
        return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    text = str(error)
    while isinstance(error, InputError) and error.file is not None and text.startswith(place := f"{error.file}: "):
        text = text.removeprefix(place)
        if not isinstance(error.__cause__, InputError):
            break
        error = error.__cause__
    return text


def _shared_by(key: str) -> Shared:
    """What this thread keeps for a sweep, for as long as it works on no other."""
    if getattr(_mine, "key", None) != key:
        _mine.key, _mine.shared = key, Shared()
    kept: Shared = _mine.shared
    return kept
