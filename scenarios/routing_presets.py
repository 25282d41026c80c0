"""Routing presets: how to imitate the routing of a model, and the statistics that this was fitted to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from scenarios.schema import did_you_mean
from scenarios.yaml_file import YamlFile, read_yaml
from sim.errors import InputError
from sim.files import write_text
from sim.model import MoEModel
from sim.synth import Style
from sim.synth.fit import Goal
from sim.trace_stats import TraceStats

STATISTICS = tuple(field.name for field in fields(TraceStats))
_FOLDER = Path(__file__).parent / "routings"
_FIELDS = ("source", "layers", "experts", "top_k", "sequences", "targets", "style")
_COUNTS = ("layers", "experts", "top_k")
_FEW_EXPERTS = 16


@dataclass(frozen=True, slots=True)
class RoutingPreset:
    """A style, the goal that it was fitted to, and `source`: whose routing that was."""

    name: str
    source: str
    goal: Goal
    style: Style

    def save(self, path: str | Path) -> None:
        """Write a file that `load_routing` reads, atomically."""
        goal = self.goal
        data = {
            "source": self.source,
            "layers": goal.n_layers,
            "experts": goal.n_experts,
            "top_k": goal.top_k,
            "sequences": list(goal.sequences),
            "targets": {name: round(value, 4) for name, value in goal.targets.items()},
            "style": {name: round(value, 4) for name, value in asdict(self.style).items()},
        }
        write_text(path, yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True))


def list_routings() -> list[str]:
    """The names of the routing presets, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def load_routing(name_or_path: str | Path, folder: str | Path = ".") -> RoutingPreset:
    """Return a preset by name (any case), or from a file such as `moesim trace fit` writes, relative to `folder`.

    Raises InputError, naming the file, the line and the field, if there is none or it makes no sense.
    """
    name, path = str(name_or_path).lower(), Path(folder) / name_or_path
    if name in list_routings():
        path = _FOLDER / f"{name}.yaml"
    elif not path.is_file():
        if path.is_dir():
            raise InputError("is a folder, not a file", file=path, remedy="give a file that `moesim trace fit` wrote")
        remedy = f"{did_you_mean(name, list_routings())}, or give a file that `moesim trace fit` wrote"
        raise InputError("no such routing preset", value=str(name_or_path), remedy=remedy)
    file = read_yaml(path)
    _check(file)
    data = file.data
    goal = Goal(data["layers"], data["experts"], data["top_k"], data["sequences"], data["targets"])
    return RoutingPreset(path.stem, data["source"], goal, Style.from_dict(data["style"]))


def routing_of(model: MoEModel) -> RoutingPreset:
    """The preset of that model, by name; else that of Mixtral for models of few experts, of OLMoE for others."""
    if model.name.lower() in list_routings():
        return load_routing(model.name)
    return load_routing("mixtral-8x7b" if model.n_experts <= _FEW_EXPERTS else "olmoe-1b-7b")


def _check(file: YamlFile) -> None:
    for field in file.data:
        if field not in _FIELDS:
            raise InputError("there is no such field", file=file.where([field]), field=field)
    for field in _FIELDS:
        if field not in file.data:
            raise InputError("is missing", file=file.path, field=field, remedy="fit it again: `moesim trace fit`")
        value = file.data[field]
        if complaint := _complaint(field, value):
            raise InputError(complaint, file=file.where([field]), field=field, value=value)
    if file.data["top_k"] > file.data["experts"]:
        raise InputError("must not exceed experts", file=file.where(["top_k"]), field="top_k", value=file.data["top_k"])
    try:
        Style.from_dict(file.data["style"])
    except InputError as error:
        raise InputError(str(error), file=file.where(["style", str(error.field).removeprefix("style.")])) from error


def _complaint(field: str, value: Any) -> str | None:
    """What is wrong with the value of a field, if anything is."""
    if field in _COUNTS:
        return None if _is_count(value) else "must be a whole number, 1 or more"
    if field == "source":
        return None if isinstance(value, str) else "must be a text"
    if field == "sequences":
        good = isinstance(value, list) and value and all(map(_is_count, value))
        return None if good else "must be a list of numbers of tokens"
    if not isinstance(value, dict):
        return "must be a mapping of fields"
    if field == "targets" and not (set(value) <= set(STATISTICS) and all(map(_is_share, value.values()))):
        return f"must give shares from 0 to 1 of {', '.join(STATISTICS)}"
    return None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
