"""The folder of a sweep: what it is of, finished chunks, and at the end one table in the order of the points."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scenarios.sweeping import columns
from scenarios.sweeping.columns import META, Row
from scenarios.sweeping.load import Sweep
from scenarios.sweeping.pareto import front
from sim.errors import InputError
from sim.files import write_text

if TYPE_CHECKING:
    import pyarrow as pa

_OTHER = "choose another folder, or start that sweep as it was"


class Store:
    """One sweep's folder. Parts are written whole or not at all, so that it may be left and taken up at any moment."""

    def __init__(self, folder: Path, sweep: Sweep) -> None:
        self.folder, self.table, self._sweep = folder, folder / "sweep.parquet", sweep
        self._parts = folder / "parts"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Begin the folder, or take it up, and keep others out; raises InputError if it is of another sweep."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError("a sweep is at work in it", file=self.folder, remedy="wait until it ends") from error
            self._claim()
            yield

    def save(self, rows: Sequence[Row]) -> None:
        """Keep the rows of some points for good."""
        columns.write(self._parts / f"{rows[0]['point']:09d}.parquet", columns.table(rows, self._sweep.axes))

    def done(self) -> set[int]:
        """The points that have their rows."""
        return set(self._all(["point"])["point"].to_pylist())

    def rows(self) -> list[Row]:
        """The rows there are, in the order of the points."""
        found: list[Row] = self._all().to_pylist()
        return found

    def finish(self) -> None:
        """Write the result, and drop what it was made of."""
        import pyarrow as pa

        spec, rows = self._sweep.spec, self._all()
        on_front = pa.array(front(rows.to_pylist(), spec.objectives))
        said = {
            "spec": spec.model_dump(mode="json", by_alias=True),
            "scenario": self._sweep.ground.scenario,
            "axes": [axis.path for axis in self._sweep.axes],
            "objectives": [objective.model_dump() for objective in spec.objectives],
        }
        rows = rows.append_column(pa.field("pareto", pa.bool_(), nullable=False), on_front)
        columns.write(self.table, rows.replace_schema_metadata({META: json.dumps(said, sort_keys=True)}))
        shutil.rmtree(self._parts, ignore_errors=True)

    def _all(self, names: list[str] | None = None) -> pa.Table:
        import pyarrow as pa

        if self.table.is_file():
            return columns.read(self.table, names)
        empty = columns.schema(self._sweep.axes).empty_table()
        parts = (columns.read(path, names) for path in self._files())
        found = pa.concat_tables([empty.select(names) if names else empty, *parts])
        return found.take(np.argsort(found["point"].to_numpy(), kind="stable")).combine_chunks()

    def _files(self) -> list[Path]:
        return sorted(self._parts.glob("[0-9]*.parquet"))

    def _claim(self) -> None:
        """The first to come says what the folder is of."""
        manifest = self.folder / "sweep.json"
        said = {"format": "moesim-sweep", "version": 1, "moesim": version("moesim"), "key": self._sweep.ground.key}
        if not manifest.is_file():
            write_text(self.folder / "spec.yaml", self._sweep.source.path.read_text(encoding="utf-8"))
            write_text(manifest, json.dumps(said, indent=1) + "\n")
            return
        try:
            found = json.loads(manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError("cannot be read", file=manifest, remedy="choose another folder") from error
        if found != said:
            other = found.get("moesim") if isinstance(found, dict) else None
            if isinstance(found, dict) and {**found, "moesim": said["moesim"]} == said:
                raise InputError(f"was begun by moesim {other}", file=self.folder, remedy=_OTHER)
            message = "was begun with another sweep file, or what that names has changed since"
            raise InputError(message, file=self.folder, remedy=_OTHER)
