"""Reports of a small scenario, and what a reader of the HTML finds in them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from scenarios.load import load_scenario
from scenarios.results import RunResult, ScenarioResult
from scenarios.run import run_scenario
from sim.metrics import Summary
from tests.scenario_files import SCENARIO, write_files

SMALL_GPU = 1_050_000  # bytes: room for 4 of 8 experts with buffers, not for all
_STREAM = "  - {label: stream, name: layer-streaming}\n"  # has buffers for as many experts as the model


def small_result(folder: Path, scenario: str = SCENARIO, gpu_bytes: int = SMALL_GPU) -> ScenarioResult:
    """All strategies that a GPU can hold that cannot hold the model."""
    assert _STREAM in scenario
    return run_scenario(load_scenario(write_files(folder, scenario.replace(_STREAM, ""), gpu_bytes=gpu_bytes)))


def with_runs(result: ScenarioResult, *runs: RunResult) -> ScenarioResult:
    """The same scenario with other runs."""
    return replace(result, runs=runs)


def renamed(run: RunResult, label: str, **figures: Any) -> RunResult:
    """A run with another label and with some figures of its summary replaced."""
    return replace(run, label=label, summary=replace(run.summary, **figures))


def summary_of(result: ScenarioResult, label: str) -> Summary:
    """The summary of a run by its label."""
    return next(run.summary for run in result.runs if run.label == label)


@dataclass
class Element:
    """An element with all text inside it."""

    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def find(self, name: str = "", **attributes: str) -> list[Element]:
        """Descendants of a name with some attributes, in document order; `class_` need only be among the classes."""
        found = []
        for child in self.children:
            if (not name or child.name == name) and all(child.has(*pair) for pair in attributes.items()):
                found.append(child)
            found += child.find(name, **attributes)
        return found

    def has(self, name: str, value: str) -> bool:
        stated = self.attributes.get(name.strip("_").replace("_", "-"), "")
        return value in stated.split() if name == "class_" else value == stated


class _Reader(HTMLParser):
    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag, "elements must nest"

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.texts.append(data)


def read_page(html: str) -> Element:
    """The document; fails if its elements do not nest."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    (root,) = reader.open
    return root


def data_of(page: Element) -> Any:
    """What the page's scripts draw from."""
    (element,) = page.find("script", id="data")
    return json.loads(element.text)
