"""From a YAML file to a checked scenario; every error names the file, the line, the field and a remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from scenarios.schema import PLAIN, STRUCTURED, Scenario
from scenarios.yaml_file import YamlFile, read_yaml
from sim.errors import InputError

if TYPE_CHECKING:
    from scenarios.sources import Sources  # reads machines, which are checked here

EXAMPLES = Path(__file__).parent / "examples"
_MESSAGES = {"missing": "is missing", "model_type": "must be a mapping of fields"}
_Checked = TypeVar("_Checked", bound=BaseModel)


@dataclass(frozen=True)
class ScenarioFile:
    """A checked scenario, and where its fields stand; `stated` came from the command line instead."""

    spec: Scenario
    source: YamlFile
    location: tuple[str | int, ...] = ()
    stated: frozenset[str] = frozenset()
    sources: Sources | None = None  # of what the scenario names; None: presets and files

    @property
    def folder(self) -> Path:
        """What paths in the scenario are relative to."""
        return self.source.path.parent

    @contextmanager
    def at(self, *location: str | int) -> Iterator[None]:
        """Add to an InputError raised inside where in the scenario the cause stands (nowhere: in all of it)."""
        try:
            yield
        except InputError as error:
            if location and location[0] in self.stated:
                raise type(error)(str(error), field=f"--{location[0]}") from error
            raise type(error)(str(error), file=self.source.where(self.location + location)) from error


def load_scenario(path: str | Path, **stated: Any) -> ScenarioFile:
    """Read a scenario by path, or a bundled example by name; `stated` fields replace those of the file."""
    source = read_yaml(find_file(path, EXAMPLES, "scenario"))
    return check_scenario(source, source.data, **stated)


def check_scenario(
    source: YamlFile, data: Mapping[str, Any], location: tuple[str | int, ...] = (), **stated: Any
) -> ScenarioFile:
    """Check a scenario that stands at `location` of a file; raises InputError."""
    given = {name: value for name, value in stated.items() if value is not None}
    spec = check(Scenario, {**data, **given}, source, location)
    return ScenarioFile(spec, source, location, frozenset(given))


def check(
    kind: type[_Checked], data: Mapping[str, Any], source: YamlFile, location: tuple[str | int, ...] = ()
) -> _Checked:
    """Check plain data against a model of `scenarios.schema`; raises InputError for the first fault."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise _input_error(error, source, location) from error


def find_file(name: str | Path, bundled: Path, kind: str) -> Path:
    """A file given by path, or one of those in the folder `bundled` given by name; raises InputError."""
    path = Path(name)
    if path.is_file():
        return path
    examples = {example.stem: example for example in sorted(bundled.glob("*.yaml"))}
    if str(name) in examples:
        return examples[str(name)]
    remedy = f"give the path of a file, or the name of a bundled one: {', '.join(examples)}"
    if path.is_dir():
        raise InputError("is a folder, not a file", file=path, remedy=remedy)
    raise InputError(f"no such {kind}", value=str(name), remedy=remedy)


def _input_error(error: ValidationError, source: YamlFile, location: tuple[str | int, ...]) -> InputError:
    """The first complaint of pydantic as one line."""
    first = error.errors(include_url=False)[0]
    context = first.get("ctx", {})
    where = [part for part in first["loc"] if part not in (PLAIN, STRUCTURED)]
    if context.get("field"):
        where.append(context["field"])
    plain = isinstance(first["input"], str | int | float) and not context.get("field")
    return InputError(
        _MESSAGES.get(first["type"], _in_words(first["msg"])),
        file=source.where([*location, *where]),
        field=_dotted([*location, *where]) or None,
        value=first["input"] if plain else None,
        remedy=context.get("remedy", "`moesim schema` shows what is allowed"),
    )


def _in_words(message: str) -> str:
    """Pydantic's sentence as the middle of ours."""
    ours = message.replace("Input should", "must", 1)
    return ours[0].lower() + ours[1:]


def _dotted(location: list[str | int]) -> str:
    """strategies[2].policy"""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
