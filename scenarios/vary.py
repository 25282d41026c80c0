"""A scenario with one of its fields changed, by the path of the field."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from sim.errors import InputError

Changes = Mapping[str, Any]  # path of the field -> value


def changed(scenario: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """Return a copy with some fields set: `cache`, `workload.prompt`, `machine_with.link.gb_per_s`, `strategies.0.top`.

    Raises InputError for a number of an entry that a list does not have.
    """
    data = copy.deepcopy(dict(scenario))
    for path, value in changes.items():
        _set(data, path, value)
    return data


def _set(data: Any, path: str, value: Any) -> None:
    """Names of a machine's numbers hold dots themselves."""
    field, _, rest = path.partition(".")
    if isinstance(data, list):
        _set_entry(data, field, rest, value)
    elif not isinstance(data, dict):
        remedy = "write it out as a mapping, or change it as a whole"
        raise InputError("is set inside of what is no mapping", field=field, value=data, remedy=remedy)
    elif not rest:
        data[field] = value
    elif field == "machine_with":
        data.setdefault(field, {})[rest] = value
    else:
        _set(data.setdefault(field, {}), rest, value)


def _set_entry(entries: list[Any], number: str, rest: str, value: Any) -> None:
    if not number.isdecimal() or int(number) >= len(entries):
        raise InputError(
            "is no entry of a list of this length", field=number, value=len(entries), remedy="count from 0"
        )
    at = int(number)
    if not rest:
        entries[at] = value
        return
    if isinstance(entries[at], str):  # a strategy by its name alone
        entries[at] = {"name": entries[at]}
    _set(entries[at], rest, value)
