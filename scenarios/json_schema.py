"""JSON Schemas of the files that people write, for editors; the strategies' knobs come from their signatures."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from scenarios.schema import Scenario
from scenarios.suite import Suite
from scenarios.sweeping.spec import SweepSpec
from sim.machine import Machine
from sim.strategies.registry import knobs_of, strategies

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def scenario_schema() -> dict[str, Any]:
    """Schema of a scenario file."""
    return {"$schema": DIALECT, **_with_knobs(Scenario.model_json_schema())}


def suite_schema() -> dict[str, Any]:
    """Schema of a validation suite: any field of a scenario may stand in `defaults` or in each scenario."""
    scenario, defs = _partial_scenario()
    suite = Suite.model_json_schema()
    suite["properties"]["defaults"] = {"$ref": "#/$defs/Scenario"}
    suite["properties"]["scenarios"]["items"] = {"$ref": "#/$defs/Scenario"}
    return {"$schema": DIALECT, **suite, "$defs": {**defs, "Scenario": scenario}}


def sweep_schema() -> dict[str, Any]:
    """Schema of a sweep file: the scenario by path or by its fields, some of which the axes may state."""
    scenario, defs = _partial_scenario()
    sweep = SweepSpec.model_json_schema()
    sweep["properties"]["scenario"]["anyOf"] = [{"type": "string"}, {"$ref": "#/$defs/Scenario"}]
    return {"$schema": DIALECT, **sweep, "$defs": {**defs, **sweep["$defs"], "Scenario": scenario}}


def machine_schema() -> dict[str, Any]:
    """Schema of a machine file."""
    return {"$schema": DIALECT, **Machine.model_json_schema()}


def _partial_scenario() -> tuple[dict[str, Any], dict[str, Any]]:
    """A scenario of which any field may be left out, and the definitions that it refers to."""
    scenario = _with_knobs(Scenario.model_json_schema())
    defs = scenario.pop("$defs")
    del scenario["required"]
    return scenario, defs


def _with_knobs(schema: dict[str, Any]) -> dict[str, Any]:
    """Replace the open mapping of a strategy by one closed mapping for each known strategy."""
    shared = schema["$defs"]["StrategySpec"]["properties"]
    choices = [_strategy(name, shared) for name in strategies()]
    schema["$defs"]["StrategySpec"] = {"anyOf": choices}
    return schema


def _strategy(name: str, shared: dict[str, Any]) -> dict[str, Any]:
    knobs = {
        knob: TypeAdapter(annotation).json_schema() | {"default": default}
        for knob, (annotation, default) in knobs_of(name).items()
    }
    return {
        "title": name,
        "description": summary_of(name),
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": shared | {"name": {"const": name}} | knobs,
    }


def summary_of(name: str) -> str:
    """One line on a strategy."""
    return first_line(strategies()[name])


def first_line(documented: type) -> str:
    """The first line of a class's docstring."""
    return (documented.__doc__ or "").strip().split("\n")[0]
