"""Stored outcomes: papers.json, with a digest of all that each setting rests on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scenarios.load import ScenarioFile
from scenarios.machine_presets import load_machine
from scenarios.presets import load_model
from scenarios.published.compare import Outcome, Ranked, Simulated
from scenarios.published.load import PaperFile, variants
from scenarios.resolve import named
from scenarios.routing_presets import load_routing, routing_of
from sim.errors import FormatError
from sim.files import write_text
from sim.inputs import read_text

VERSION = 1
_FORMAT = "moesim-papers"
_REMEDY = "run `make papers`"
_IDLE = ("spread", "drift", "power", "source", "sources")
Outcomes = Mapping[str, Mapping[str, Outcome]]  # by paper and setting


def to_json(files: Sequence[PaperFile], outcomes: Outcomes) -> str:
    """The text of papers.json; equal outcomes give equal text."""
    papers = {
        file.name: {
            setting.name: {"digest": digest(file, number), **asdict(outcomes[file.name][setting.name])}
            for number, setting in enumerate(file.spec.settings)
        }
        for file in files
    }
    return json.dumps({"format": _FORMAT, "version": VERSION, "papers": papers}, indent=1, allow_nan=False) + "\n"


def save(path: Path, files: Sequence[PaperFile], outcomes: Outcomes) -> None:
    """Write papers.json, atomically."""
    write_text(path, to_json(files, outcomes))


def load(path: Path) -> tuple[dict[str, dict[str, Outcome]], dict[tuple[str, str], str]]:
    """Read papers.json: the outcomes, and the digest by paper and setting; raises FormatError."""
    try:
        data = json.loads(read_text(path, _REMEDY))
        if (data["format"], data["version"]) != (_FORMAT, VERSION):
            raise FormatError("is of another format or version", file=path, remedy=_REMEDY)
        settings = {(paper, name): entry for paper, each in data["papers"].items() for name, entry in each.items()}
        outcomes: dict[str, dict[str, Outcome]] = {}
        for (paper, name), entry in settings.items():
            outcomes.setdefault(paper, {})[name] = _outcome(entry)
        return outcomes, {place: entry["digest"] for place, entry in settings.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"does not hold outcomes of papers: {error!r}", file=path, remedy=_REMEDY) from error


def stale(files: Sequence[PaperFile], digests: Mapping[tuple[str, str], str]) -> list[str]:
    """Settings whose scenario, machine or model is not what it was when their outcome was stored."""
    return [
        f"{file.name}: {setting.name}"
        for file in files
        for number, setting in enumerate(file.spec.settings)
        if digests.get((file.name, setting.name)) != digest(file, number)
    ]


def digest(file: PaperFile, number: int) -> str:
    """A digest of what a setting reads, its scenarios, its machine and its model, as they are now."""
    setting = file.spec.settings[number]
    parts: list[Any] = [[repr(key) for key in setting.readings()]]
    for changes in ({}, *variants(setting)):
        scenario = file.scenario(number, changes)
        parts += [scenario.spec.model_dump(mode="json", exclude_defaults=True), *_facts(scenario)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _facts(scenario: ScenarioFile) -> Iterator[Any]:
    """The machine, with none but the stacks that are used, the model, and how its routing is imitated."""
    spec = scenario.spec
    machine = load_machine(named("machine", spec.machine, scenario))
    stacks = {name or next(iter(machine.stacks)) for name in (spec.stack, *(each.stack for each in spec.strategies))}
    dumped = _timing(machine.model_dump(mode="json", exclude_defaults=True))
    yield dumped | {"stacks": {name: stack for name, stack in dumped["stacks"].items() if name in stacks}}
    model = load_model(named("model", spec.model, scenario))
    yield model.to_dict()
    if spec.workload is not None:
        like = spec.workload.like
        yield asdict((load_routing(like, scenario.folder) if like else routing_of(model)).style)


def _timing(part: Any) -> Any:
    """A part of a machine without what no time depends on: spreads, watts, and where its numbers come from."""
    if isinstance(part, dict):
        return {name: _timing(each) for name, each in part.items() if not name.endswith(_IDLE)}
    return [_timing(each) for each in part] if isinstance(part, list) else part


def _outcome(entry: Mapping[str, Any]) -> Outcome:
    return Outcome(
        {name: Simulated(**fields) for name, fields in entry["figures"].items()},
        {
            name: Ranked(tuple(fields["values"]), fields["held"], fields["runs"])
            for name, fields in entry["orders"].items()
        },
    )
