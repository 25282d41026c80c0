"""Suites: lists of scenarios that share most of their fields, to be simulated and executed one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from scenarios.load import ScenarioFile, check, check_scenario, find_file
from scenarios.schema import Part
from scenarios.yaml_file import read_yaml

_SUITES = Path(__file__).parent / "suites"


class Suite(Part):
    """Scenarios, each completed by the `defaults` for the fields that it does not state."""

    title: str = ""
    defaults: dict[str, Any] = Field(default={}, description="What every scenario has that does not say otherwise.")
    scenarios: list[dict[str, Any]] = Field(min_length=1)


def load_suite(path: str | Path, **stated: Any) -> tuple[str, list[ScenarioFile]]:
    """Title and scenarios of a suite given by path, or bundled and given by name; raises InputError."""
    source = read_yaml(find_file(path, _SUITES, "suite"))
    suite = check(Suite, source.data, source)
    scenarios = [
        check_scenario(source, {**suite.defaults, **scenario}, ("scenarios", i), **stated)
        for i, scenario in enumerate(suite.scenarios)
    ]
    return suite.title or source.path.stem, scenarios
