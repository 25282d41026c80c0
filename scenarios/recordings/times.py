"""Times of one run as small integers, which compress to a few bytes an op."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.columnar import read_table, write_table
from sim.errors import FormatError
from sim.timeline import Times

TICK_S = 1e-7
_VERSION = 1


def save_times(path: Path, times: Times) -> None:
    """Write an Arrow file: dispatch since the op before, start since dispatch, length, in ticks of 0.1 µs."""
    dispatched, start, end = (np.rint(column / TICK_S) for column in (times.dispatched_s, times.start_s, times.end_s))
    columns = {
        "dispatched": _small(np.diff(dispatched, prepend=0.0)),
        "start": _small(start - dispatched),
        "lasted": _small(end - start),
        "cancelled": times.cancelled,
    }
    write_table(path, kind="recorded-times", version=_VERSION, columns=columns, meta={"tick_s": TICK_S})


def load_times(path: Path) -> Times:
    """Read what `save_times` wrote, to the tick; raises FormatError if the file is anything else."""
    columns, meta = read_table(path, kind="recorded-times", version=_VERSION)
    try:
        tick_s = float(meta["tick_s"])
        dispatched: NDArray[np.int64] = np.cumsum(columns["dispatched"], dtype=np.int64)
        start = dispatched + columns["start"]
        end = start + columns["lasted"]
        dispatched_s, start_s, end_s = (np.asarray(ticks * tick_s, np.float64) for ticks in (dispatched, start, end))
        return Times(dispatched_s, start_s, end_s, columns["cancelled"])
    except (KeyError, ValueError) as error:
        raise FormatError(f"not usable times: {error}", file=path, remedy="record them again") from error


def _small(ticks: NDArray[np.float64]) -> NDArray[np.int32]:
    """Raises FormatError beyond what 32 bits hold: some 200 seconds between two moments of one op."""
    if len(ticks) and np.abs(ticks).max() > np.iinfo(np.int32).max:
        raise FormatError("a run of several minutes is too long to be recorded", remedy="record a shorter schedule")
    return ticks.astype(np.int32)
