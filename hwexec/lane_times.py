"""The rules of time that hold whatever clock an op was timed by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwexec.backend import LaneTimes


def ordered(times: LaneTimes, on_host: NDArray[np.bool_]) -> None:
    """Let no op start before it counts as dispatched, none be dispatched before the host was free for it.

    An op that the GPU began while the host was handing over its last kernels counts as dispatched at its start. Beyond
    that, moves are as small as the clocks are apart.
    """
    dispatched, start, end = (np.array(column) for column in (times.dispatched, times.start, times.end))
    dispatched = np.where(on_host, dispatched, np.minimum(dispatched, start))
    free = np.maximum.accumulate(np.where(on_host, end, dispatched))
    dispatched[1:] = np.maximum(dispatched[1:], free[:-1])
    start = np.maximum(start, dispatched)
    times.dispatched, times.start = dispatched.tolist(), start.tolist()
    times.end = np.maximum(end, start).tolist()
