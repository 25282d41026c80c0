"""The journal: raw samples as they come in, one line a unit of work, from which an interrupted run continues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sim.errors import InputError

FORMAT = "moesim-samples"
VERSION = 1

Samples = dict[str, list[float]]  # name of what was measured -> seconds


class Journal:
    """Samples by name, kept in memory and on disk; use as a context.

    A file that belongs to the same measurement and was left unfinished is continued, a line cut short by the
    interruption dropped; any other file is replaced. Raises InputError if the folder cannot be written to.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.samples: Samples = {}
        self.spent_s: dict[str, float] = {}  # by unit
        header = {"format": FORMAT, "version": VERSION, "identity": dict(identity)}
        kept = self._recover(header)
        self.resumed = bool(self.spent_s)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("r+" if kept else "w", encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}", file=path, remedy="choose a folder you may write to"
            ) from error
        self._file.seek(kept)
        self._file.truncate()
        if not kept:
            self._write(header)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, unit: str, samples: Samples, spent_s: float) -> None:
        """Record what one unit of work measured, to five digits; on disk when this returns."""
        samples = {name: [float(f"{each:.5g}") for each in seconds] for name, seconds in samples.items()}
        self._write({"unit": unit, "spent_s": spent_s, "samples": samples})
        self._learn(unit, samples, spent_s)

    def finish(self) -> None:
        """Mark the measurement complete: the next one starts afresh."""
        self._write({"done": True})

    def _learn(self, unit: str, samples: Samples, spent_s: float) -> None:
        self.spent_s[unit] = spent_s
        for name, seconds in samples.items():
            self.samples.setdefault(name, []).extend(seconds)

    def _write(self, record: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
        self._file.flush()

    def _recover(self, header: Mapping[str, Any]) -> int:
        """Read back an unfinished file of the same header; returns how many bytes of it are good."""
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
        except OSError:
            return 0
        records = list(map(_parse, lines))
        whole = records.index(None) if None in records else len(records)
        if whole == 0 or records[0] != header or {"done": True} in records:
            return 0
        for record in filter(None, records[1:whole]):
            self._learn(record["unit"], record["samples"], record["spent_s"])
        return sum(len(line) for line in lines[:whole])


def _parse(line: bytes) -> dict[str, Any] | None:
    """A whole line as a record; None if it was cut short."""
    try:
        record = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
