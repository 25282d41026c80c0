"""A model as plain JSON or YAML values, read back strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from sim.attention_shape import Attention
from sim.errors import InputError

if TYPE_CHECKING:
    from sim.model import MoEModel

_KINDS = {"int": (int, "a whole number"), "bool": (bool, "true or false"), "str": (str, "a text")}


def plain(record: MoEModel | Attention) -> dict[str, Any]:
    """Return the record's fields as JSON values, in the order of their declaration."""
    return {field.name: _plain_value(getattr(record, field.name)) for field in fields(record)}


def model_fields(cls: type[MoEModel], data: object) -> dict[str, Any]:
    """Return the constructor arguments of a MoEModel described by the mapping `data`; else InputError."""
    if isinstance(data, Mapping) and "moe_layers" not in data:
        data = {**data, "moe_layers": {}}
    given = _read(cls, data, "")
    given["attention"] = Attention(**_read(Attention, given["attention"], "attention."))
    for field in ("moe_layers", "sliding_layers"):
        if field in given:
            given[field] = _blocks(given[field], given["n_layers"], field)
    return given


def _plain_value(value: object) -> object:
    if isinstance(value, Attention):
        return plain(value)
    return list(value) if isinstance(value, tuple) else value


def _read(cls: type[MoEModel] | type[Attention], data: object, prefix: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise InputError("must be a mapping of field to value", field=prefix.rstrip(".") or None, value=data)
    known = {field.name: field for field in fields(cls)}
    for key in data:
        if key not in known:
            raise InputError("unknown field", field=f"{prefix}{key}", remedy=f"known: {', '.join(known)}")
    for name, field in known.items():
        if name not in data and field.default is MISSING:
            raise InputError("missing", field=f"{prefix}{name}", remedy="add it")
    return {key: _checked(str(known[key].type), value, f"{prefix}{key}") for key, value in data.items()}


def _checked(annotation: str, value: object, field: str) -> object:
    if annotation in _KINDS:
        kind, words = _KINDS[annotation]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise InputError(f"must be {words}", field=field, value=value)
    elif annotation == "float | None" and value is not None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise InputError("must be a number", field=field, value=value)
        return float(value)
    return value


def _blocks(value: object, n_layers: int, field: str) -> tuple[int, ...]:
    if isinstance(value, Mapping) and set(value) <= {"start", "stop", "step"}:
        start, stop, step = value.get("start", 0), value.get("stop", n_layers), value.get("step", 1)
        if all(type(bound) is int for bound in (start, stop, step)) and step > 0:
            return tuple(range(start, stop, step))
    if not isinstance(value, list | tuple) or not all(type(layer) is int for layer in value):
        raise InputError("must be a list of block numbers, or start, stop and step", field=field, value=value)
    return tuple(value)
