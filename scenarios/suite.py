"""Suites: lists of scenarios that share most of their fields, to be simulated and executed one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

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
    unseen: list[str] = Field(default=[], description="Names of models that calibration is not to measure.")


class LoadedSuite(NamedTuple):
    """A suite's title, its scenarios, and the names of the models that a calibration for it leaves out."""

    title: str
    files: list[ScenarioFile]
    unseen: frozenset[str]


def load_suite(path: str | Path, **stated: Any) -> LoadedSuite:
    """A suite given by path, or bundled and given by name; raises InputError."""
    source = read_yaml(find_file(path, _SUITES, "suite"))
    suite = check(Suite, source.data, source)
    scenarios = [
        check_scenario(source, {**suite.defaults, **scenario}, ("scenarios", i), **stated)
        for i, scenario in enumerate(suite.scenarios)
    ]
    return LoadedSuite(suite.title or source.path.stem, scenarios, frozenset(suite.unseen))
