"""A scenario given in Python, say in a notebook: its fields, where objects may stand in place of names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.load import EXAMPLES, ScenarioFile, check_scenario, find_file
from scenarios.routing import Routing, shared_out
from scenarios.schema import TraceSpec
from scenarios.sources import Sources
from scenarios.yaml_file import NOWHERE, YamlFile, parse_yaml, read_yaml
from sim.errors import InputError
from sim.machine import Machine
from sim.model import MoEModel
from sim.precision import Precisions
from sim.strategies.registry import NO_STRATEGY, is_strategy, strategies
from sim.strategy import Strategy
from sim.trace import RoutingTrace

_HERE = Path("scenario")  # how messages call what is in no file
_TRACE = "(given)"


def scenario(what: ScenarioFile | Mapping[str, Any] | str | Path | None = None, /, **fields: Any) -> ScenarioFile:
    """A scenario by its fields, which are those of a scenario file, or from `what` with some fields replaced.

    `what`: another scenario, a mapping of fields, a YAML text, the path of a file, or the name of a bundled example.
    A field that is None is left out. A `MoEModel`, a `Machine`, `Precisions`, a `RoutingTrace`
    and subclasses of `Strategy` may stand in place of their names, as `strategies=["fiddler", MyIdea]` or, with knobs,
    `{"name": MyIdea, "knob": 3}`. Paths are relative to the file, or to the present folder. Raises InputError.
    """
    source = _source(what)
    data = {name: value for name, value in {**source.data, **fields}.items() if value is not None}
    if data == source.data and not isinstance(source, _InMemory):
        return check_scenario(source, data)
    objects = Objects((what.sources if isinstance(what, ScenarioFile) else None) or Sources())
    plain = objects.named(data)
    return replace(check_scenario(_InMemory(source.path, plain, NOWHERE), plain), sources=objects)


def _source(what: ScenarioFile | Mapping[str, Any] | str | Path | None) -> YamlFile:
    if what is None:
        return _InMemory(_HERE, {}, NOWHERE)
    if isinstance(what, ScenarioFile):
        stated = what.spec.model_dump(exclude_unset=True, exclude_none=True)
        return _InMemory(what.source.path, stated, NOWHERE)
    if isinstance(what, Mapping):
        return _InMemory(_HERE, dict(what), NOWHERE)
    if isinstance(what, str) and "\n" in what:
        return parse_yaml(what, _HERE)
    return read_yaml(find_file(what, EXAMPLES, "scenario"))


@dataclass(frozen=True)
class _InMemory(YamlFile):
    """Fields that stand in no file."""

    def where(self, location: Sequence[str | int] = ()) -> str:
        """`scenario['strategies'][1]`, as far as it exists."""
        at: Any = self.data
        text = str(self.path)
        for part in location:
            try:
                at = at[part]
            except (LookupError, TypeError):
                break
            text += f"[{part!r}]"
        return text


class Objects(Sources):
    """Models, machines, a trace and strategies that a scenario was given as objects, by name; `others` has the rest."""

    def __init__(self, others: Sources) -> None:
        self._others = others
        self._models: dict[str, MoEModel] = {}
        self._machines: dict[str, Machine] = {}
        self._strategies: dict[str, type[Strategy]] = {}
        self._trace: RoutingTrace | None = None

    def named(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields with names for objects, and with plain lists and numbers for those of NumPy."""
        if isinstance(trace := fields.get("trace"), RoutingTrace):
            fields = {**fields, "trace": {"file": trace}}
        return {name: self._plain(value) for name, value in fields.items()}

    def _plain(self, value: Any) -> Any:
        match value:
            case MoEModel():
                return _kept(self._models, value.name, value)
            case Machine():
                return _kept(self._machines, value.name, value)
            case RoutingTrace():
                self._trace = value
                return _TRACE
            case Strategy() | type():
                return self._name_of(value)
            case Precisions():
                return asdict(value)
            case Path():
                return str(value)
            case np.generic() | np.ndarray():
                return value.tolist()
            case list() | tuple():
                return [self._plain(each) for each in value]
            case Mapping():
                return {name: self._plain(each) for name, each in value.items()}
        return value

    def _name_of(self, given: object) -> str:
        if isinstance(given, Strategy):
            remedy = f"give its class, and its knobs beside it: {{'name': {type(given).__name__}, …}}"
            raise InputError("is an object", field="strategies", value=given, remedy=remedy)
        if not is_strategy(given):
            raise InputError("is no strategy", field="strategies", value=given, remedy=NO_STRATEGY)
        if {**strategies(), **self._strategies}.get(given.name, given) is not given:
            remedy = f"rename it: `name` of {given.__name__}"
            raise InputError("another strategy has this name", field="strategies.name", value=given.name, remedy=remedy)
        return _kept(self._strategies, given.name, given)

    def model(self, name: str | Path) -> MoEModel:
        """A given model, or else one by name or path."""
        return self._models.get(str(name)) or self._others.model(name)

    def machine(self, name: str | Path) -> Machine:
        """A given machine, or else one by name or path."""
        return self._machines.get(str(name)) or self._others.machine(name)

    def recorded(self, spec: TraceSpec, path: Path) -> Routing:
        """Routing of the given trace, or else read from a file."""
        if self._trace is None or spec.file != _TRACE:
            return self._others.recorded(spec, path)
        return shared_out(spec, self._trace)

    def strategy(self, name: str) -> type[Strategy]:
        """A given strategy, or else one by name."""
        return self._strategies.get(name) or self._others.strategy(name)


def _kept(known: dict[str, Any], name: str, value: object) -> str:
    known[name] = value
    return name
