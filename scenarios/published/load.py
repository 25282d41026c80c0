"""Paper files: found by name, checked with every scenario in them, and each setting with one of its inputs changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenarios.load import ScenarioFile, check, check_scenario, find_file
from scenarios.published.spec import Paper, Setting
from scenarios.vary import Changes, changed
from scenarios.yaml_file import YamlFile, read_yaml
from sim.errors import InputError

_PAPERS = Path(__file__).parent.parent / "papers"
_UNSTATED = {"workload": {"prompt": 1, "output": 1}, "strategies": ["all-resident"]}  # where nothing is run


@dataclass(frozen=True)
class PaperFile:
    """A checked paper file; its name is the file's."""

    name: str
    spec: Paper
    source: YamlFile

    def scenario(self, number: int, changes: Changes | None = None) -> ScenarioFile:
        """The scenario of a setting, checked, with some of its fields changed."""
        stated = self.spec.settings[number].scenario
        data = stated if "trace" in stated else _UNSTATED | stated
        return check_scenario(self.source, changed(data, changes or {}), ("settings", number, "scenario"))


def list_papers() -> list[str]:
    """The names of the bundled paper files, sorted."""
    return sorted(path.stem for path in _PAPERS.glob("*.yaml"))


def load_paper(name: str | Path) -> PaperFile:
    """Read a paper file by path or a bundled one by name, and check all it names; raises InputError."""
    source = read_yaml(find_file(name, _PAPERS, "paper"))
    file = PaperFile(source.path.stem, check(Paper, source.data, source), source)
    for number, setting in enumerate(file.spec.settings):
        labels = [strategy.title for strategy in file.scenario(number).spec.strategies]
        for label, quantity, _ in setting.readings():
            if label is not None and label not in labels:
                raise InputError(
                    f"{quantity} is to be read of a strategy that the scenario does not have",
                    file=source.where(("settings", number)),
                    field="of",
                    value=label,
                    remedy=f"it has {', '.join(labels)}",
                )
        for changes in variants(setting):
            file.scenario(number, changes)
    return file


def variants(setting: Setting) -> Iterator[dict[str, Any]]:
    """What is run for the range: each value of each uncertain input by itself, then all lowest, then all highest."""
    seen = [setting.scenario]
    single = [{each.change: value} for each in setting.uncertain for value in each.values]
    corners = [{each.change: each.values[end] for each in setting.uncertain} for end in (0, -1)]
    for changes in (*single, *corners):
        if (scenario := changed(setting.scenario, changes)) not in seen:
            seen.append(scenario)
            yield changes
