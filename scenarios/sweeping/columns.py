"""The columns of a sweep's table, and how rows become Arrow and Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.sweeping.axes import Axis
from scenarios.sweeping.figures import FIGURES
from scenarios.sweeping.points import Choices
from sim.errors import FormatError
from sim.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
META = b"moesim.sweep"
DONE, FAILED = "done", "failed"
_WHOLE = ("cached",)


def schema(axes: Sequence[Axis]) -> pa.Schema:
    """What each column holds, of rows as they are evaluated."""
    import pyarrow as pa

    identity = [
        pa.field("point", pa.int64(), nullable=False),
        pa.field("scenario", pa.string()),
        pa.field("strategy", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
    ]
    swept = [pa.field(axis.path, getattr(pa, type_of(axis))()) for axis in axes]
    figures = [pa.field(name, pa.int64() if name in _WHOLE else pa.float64()) for name in FIGURES]
    return pa.schema([*identity, *swept, *figures, pa.field("feasible", pa.bool_(), nullable=False)])


def type_of(axis: Axis) -> str:
    """Name of the Arrow type that holds all values of an axis."""
    if not axis.values:
        return "int64" if axis.span is not None and axis.span.whole else "float64"
    kinds = {type(value) for value in axis.values}
    for name, fitting in (("bool_", {bool}), ("int64", {int}), ("float64", {int, float})):
        if kinds <= fitting:
            return name
    return "string"


def unknown(point: int, axes: Sequence[Axis], choices: Choices) -> Row:
    """The row of a point of which nothing is known yet but what it sets."""
    pairs = zip(axes, choices, strict=True)
    nothing = dict.fromkeys(("scenario", "strategy", "reason", *FIGURES))
    swept = {axis.path: _cell(axis, axis.value(choice)) for axis, choice in pairs}
    return {"point": point, "status": FAILED, "feasible": False, **nothing, **swept}


def _cell(axis: Axis, value: Any) -> Any:
    """A value as its column holds it: what has no type of its own as text, in JSON if it is no plain value."""
    if type_of(axis) != "string" or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def write(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet, atomically; equal tables give equal bytes."""
    from pyarrow import parquet

    with replacing(path) as draft:
        parquet.write_table(table, draft, compression="zstd", row_group_size=1 << 17, version="2.6")


def read(path: Path, names: list[str] | None = None) -> pa.Table:
    """Read all columns or some; raises FormatError if the file is damaged."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(path, columns=names)
    except (pa.ArrowException, OSError) as error:
        remedy = "delete it: what was in it will be done again"
        raise FormatError(f"is damaged: {error}", file=path, remedy=remedy) from error


def table(rows: Sequence[Row], axes: Sequence[Axis]) -> pa.Table:
    """Rows as a table."""
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows), schema=schema(axes))
