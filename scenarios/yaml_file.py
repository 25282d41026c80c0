"""YAML read with the line of every value, so that an error can say where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sim.errors import InputError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NOWHERE = yaml.ScalarNode("", "", yaml.Mark("", 0, 0, 0, None, 0))  # the root of data that no text is known of


@dataclass(frozen=True)
class YamlFile:
    """The mapping at the top of a YAML file, and where its values stand."""

    path: Path
    data: dict[str, Any]
    root: yaml.Node

    def where(self, location: Sequence[str | int] = ()) -> str:
        """`file:line` of the value at a location, or of the nearest that exists around it."""
        node = self.root
        line = node.start_mark.line
        for part in location:
            found = _child(node, part)
            if found is None:
                break
            node, line = found
        return f"{self.path}:{line + 1}" if location else str(self.path)


def read_yaml(path: str | Path) -> YamlFile:
    """Read a file whose top is a mapping; raises InputError if it is not, or if a key is there twice."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path, remedy="check the path") from error
    except UnicodeDecodeError as error:
        raise InputError("is not a text file", file=path, remedy="give a YAML file") from error
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path) -> YamlFile:
    """The same of a text; `path` is for messages, and what is relative to its folder."""
    try:
        loader = _LOADER(text)
    except yaml.YAMLError as error:
        raise InputError("is not a text file", file=path, remedy="give a YAML file") from error
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise InputError("must be a mapping of fields", file=path, remedy="begin with `model: …`")
        _refuse_duplicates(path, root)
        return YamlFile(path, loader.construct_document(root), root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        file = path if mark is None else f"{path}:{mark.line + 1}"
        raise InputError(f"is not YAML: {getattr(error, 'problem', error)}", file=file) from error
    finally:
        loader.dispose()


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, int] | None:
    """The value of a key or an index, with the line of the key or of the value."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        value = node.value[part]
        return value, value.start_mark.line
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return value, key.start_mark.line
    return None


def _refuse_duplicates(path: Path, root: yaml.Node) -> None:
    """YAML lets the last of two equal keys win, silently."""
    for mapping in _mappings(root, set()):
        seen: set[str] = set()
        for key, _ in mapping.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                file = f"{path}:{key.start_mark.line + 1}"
                raise InputError("is given twice", file=file, field=key.value, remedy="keep one of them")
            seen.add(str(key.value))


def _mappings(node: yaml.Node, visited: set[int]) -> Iterator[yaml.MappingNode]:
    if id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value, visited)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value, visited)
