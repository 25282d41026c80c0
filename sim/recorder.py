"""Growing columns: where a Program writes its ops before they are a Schedule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.columnar import Ragged
from sim.schedule import COLUMNS, Ops

Row = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, float]  # in the order of COLUMNS


class OpRecorder:
    """Appends ops in issue order and hands them out in blocks."""

    def __init__(self) -> None:
        self._n_ops = 0
        self._rows: list[Row] = []
        self._dep_counts: list[int] = []
        self._deps: list[int] = []

    def __len__(self) -> int:
        return self._n_ops

    @property
    def pending(self) -> int:
        """How many ops `take` would give now."""
        return len(self._rows)

    def append(self, row: Row, deps: Sequence[int]) -> int:
        """Record one op; returns its number."""
        self._rows.append(row)
        self._dep_counts.append(len(deps))
        self._deps.extend(deps)
        self._n_ops += 1
        return self._n_ops - 1

    def take(self) -> Ops:
        """The ops recorded since the last call; their dependencies keep counting from the first op of all."""
        rows = zip(*self._rows, strict=True) if self._rows else ((),) * len(COLUMNS)
        columns = {name: np.array(values, dtype) for (name, dtype), values in zip(COLUMNS.items(), rows, strict=True)}
        offsets = np.concatenate(([0], np.cumsum(self._dep_counts, dtype=np.int64)))
        deps = Ragged(offsets, np.array(self._deps, np.int64))
        self._rows, self._dep_counts, self._deps = [], [], []
        return Ops(**columns, deps=deps)


def join(blocks: Sequence[Ops]) -> Ops:
    """One block of what `OpRecorder.take` gave, in order."""
    columns = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in COLUMNS}
    counts = np.concatenate([np.diff(block.deps.offsets) for block in blocks])
    values = np.concatenate([block.deps.values for block in blocks])
    return Ops(**columns, deps=Ragged(np.concatenate(([0], np.cumsum(counts))), values))
