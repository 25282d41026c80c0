"""The table of a sweep as it was kept: one row a point and strategy, and what the sweep was asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.explore.figures import HEADINGS
from scenarios.sweeping.columns import DONE, META
from sim.errors import FormatError, InputError

_NEEDED = ("point", "strategy", "status", "reason")
_REMEDY = "give the folder that `moesim sweep` wrote, or its sweep.parquet"

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class SweepTable:
    """`columns` are those of the points that were evaluated; `failures` counts rows by the reason they failed for.

    `nth` is the number of a row's strategy within its point. `scenario` is what was varied, if it was kept.
    """

    name: str
    columns: Columns
    nth: list[int]
    axes: list[str]
    objectives: list[dict[str, str]]
    spec: Mapping[str, Any]
    scenario: Mapping[str, Any] | None
    failures: dict[str, int]
    points: int

    @property
    def rows(self) -> int:
        """Evaluated rows."""
        return len(self.nth)

    @property
    def figures(self) -> list[str]:
        """The figures that some row has."""
        return [name for name in HEADINGS if any(value is not None for value in self.columns.get(name, ()))]


def read_sweep(path: str | Path) -> SweepTable:
    """Read the folder of a sweep or its file; raises InputError if there is none, FormatError if it is no sweep."""
    import pyarrow as pa
    from pyarrow import parquet

    file = Path(path) / "sweep.parquet" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise InputError("no such sweep", file=file, remedy=_REMEDY)
    try:
        table = parquet.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"is not a Parquet file ({error})", file=file, remedy=_REMEDY) from error
    said = _said(file, table.schema.metadata or {})
    axes, objectives = said["axes"], said["objectives"]
    for name in (*_NEEDED, *axes, *(objective["figure"] for objective in objectives)):
        if name not in table.column_names:
            raise FormatError("lacks a column of a sweep", file=file, field=name, remedy=_REMEDY)
    columns: Columns = table.to_pydict()
    done = [i for i, status in enumerate(columns["status"]) if status == DONE]
    failed = Counter(
        reason or "no reason was kept"
        for reason, status in zip(columns["reason"], columns["status"], strict=True)
        if status != DONE
    )
    nth = _within(columns["point"])
    return SweepTable(
        name=file.parent.name if file.name == "sweep.parquet" else file.stem,
        columns={name: [values[i] for i in done] for name, values in columns.items()},
        nth=[nth[i] for i in done],
        axes=axes,
        objectives=objectives,
        spec=said["spec"],
        scenario=said.get("scenario"),
        failures=dict(failed.most_common()),
        points=len(set(columns["point"])),
    )


def _said(file: Path, metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """What the file says of itself."""
    if META not in metadata:
        raise FormatError("is not the table of a sweep", file=file, field=META.decode(), remedy=_REMEDY)
    try:
        said = json.loads(metadata[META])
        lists = isinstance(said["axes"], list) and isinstance(said["objectives"], list) and said["objectives"]
        if not lists or not all(each["figure"] in HEADINGS and each["better"] for each in said["objectives"]):
            raise FormatError("makes no sense", file=file, field=META.decode(), remedy=_REMEDY)
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"makes no sense ({error!r})", file=file, field=META.decode(), remedy=_REMEDY) from error
    return {"spec": {}, **said}


def _within(points: list[int]) -> list[int]:
    """The number of each row among those of its point, which follow one another."""
    if not points:
        return []
    at = np.asarray(points)
    first = np.flatnonzero(np.diff(at, prepend=at[0] - 1))
    starts = np.repeat(first, np.diff([*first, len(at)]))
    numbers: list[int] = (np.arange(len(at)) - starts).tolist()
    return numbers
