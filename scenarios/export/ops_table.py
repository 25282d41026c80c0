"""A timeline as a table of its ops, one a row, for spreadsheets, data frames and databases."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenarios.export.on_path import on_path
from sim.cost import Costs
from sim.critical_path import Cause, critical_path
from sim.files import replacing
from sim.precision import PRECISIONS
from sim.schedule import Kind, Phase, Reason
from sim.timeline import Timeline

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_A_GROUP = 1 << 17


def ops_table(timeline: Timeline, costs: Costs | None = None) -> pa.Table:
    """All columns of the schedule, the times in seconds since the start of the run, and the part of the critical path.

    Names come as dictionary columns; what an op does not have is null: so is the expert of a block's shared expert or
    dense FFN. `costs` are those of `sim.critical_path.critical_path`. `to_pandas()` makes a data frame of it.
    """
    import pyarrow as pa

    return pa.table(
        _of_schedule(timeline) | _of_times(timeline) | _of_path(timeline, costs) | _deps(timeline)
    ).replace_schema_metadata({"moesim.source": timeline.source, "moesim.model": timeline.schedule.model.name})


def write_parquet(path: str | Path, timeline: Timeline, costs: Costs | None = None) -> None:
    """Write `ops_table` as Parquet, atomically; raises InputError if it cannot be written."""
    from pyarrow import parquet

    table = ops_table(timeline, costs)
    with replacing(path) as draft:
        parquet.write_table(table, draft, compression="zstd", row_group_size=_ROWS_A_GROUP)


def write_csv(path: str | Path, timeline: Timeline, costs: Costs | None = None) -> None:
    """Write `ops_table` as CSV, atomically: empty cells for nulls, op numbers in `deps` with spaces between them.

    Times have all their digits. Raises InputError if the file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import csv

    table = ops_table(timeline, costs)
    for number, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type):
            table = table.set_column(number, column.name, table[column.name].cast(pa.string()))
    deps = [" ".join(map(str, each)) or None for each in table["deps"].to_pylist()]
    table = table.set_column(table.schema.get_field_index("deps"), "deps", pa.array(deps, pa.string()))
    with replacing(path) as draft:
        csv.write_csv(table, draft, csv.WriteOptions(quoting_style="needed", quoting_header="needed"))


def _of_schedule(timeline: Timeline) -> dict[str, pa.Array]:
    schedule = timeline.schedule
    ops = schedule.ops
    phases = np.array([step.phase for step in schedule.steps], np.uint8)
    in_step = ops.step >= 0
    phase = np.full(len(ops), len(Phase), np.uint8)
    phase[in_step] = phases[ops.step[in_step]]
    return {
        "op": _column(np.arange(len(ops))),
        "kind": _words(ops.kind, Kind),
        "reason": _words(ops.reason, Reason),
        "lane": _names(ops.lane, [lane.name for lane in schedule.lanes]),
        "precision": _names(ops.precision, list(PRECISIONS)),
        "phase": _words(phase, Phase),
        **{name: _column(getattr(ops, name), absent=-1) for name in ("step", "layer", "expert", "slot")},
        "tokens": _column(ops.tokens),
        "context_tokens": _column(ops.context),
        "sequences": _column(ops.sequences),
        "priority": _column(ops.priority),
        "size_bytes": _column(ops.size_bytes),
        "stated_s": _column(ops.stated_s, null=np.isnan(ops.stated_s)),
    }


def _of_times(timeline: Timeline) -> dict[str, pa.Array]:
    times = timeline.times
    return {
        "dispatched_s": _column(times.dispatched_s),
        "start_s": _column(times.start_s),
        "end_s": _column(times.end_s),
        "duration_s": _column(times.end_s - times.start_s),
        "cancelled": _column(times.cancelled),
    }


def _of_path(timeline: Timeline, costs: Costs | None) -> dict[str, pa.Array]:
    """An op is on the path also while it is dispatched or its lane wakes up for it."""
    found = on_path(critical_path(timeline, costs))
    return {
        "on_path": _column(found.seconds > 0),
        "path_s": _column(found.seconds),
        "path_cause": _names(found.cause, [cause.label for cause in Cause]),
    }


def _deps(timeline: Timeline) -> dict[str, pa.Array]:
    """Of each op, the ops that it depends on."""
    import pyarrow as pa

    deps = timeline.schedule.ops.deps
    return {"deps": pa.LargeListArray.from_arrays(deps.offsets, deps.values)}


def _column(values: NDArray[Any], *, absent: int | None = None, null: ArrayLike | None = None) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, mask=values == absent if absent is not None else null)


def _words(codes: NDArray[np.uint8], of: type[IntEnum]) -> pa.Array:
    return _names(codes, [each.name.lower() for each in of])


def _names(codes: NDArray[np.uint8], names: list[str]) -> pa.Array:
    """A name for each code; null for those beyond the last name."""
    import pyarrow as pa

    indices = pa.array(codes.astype(np.int16), mask=codes >= len(names))
    return pa.DictionaryArray.from_arrays(indices, pa.array(names))
