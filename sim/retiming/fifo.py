"""Times where nothing is shared, chosen or cancelled: one pass in program order."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.schedule import Kind

Seconds = NDArray[np.float64]
Numbers = NDArray[np.int32]
Codes = NDArray[np.uint8]
_WAIT = int(Kind.WAIT)


@njit(cache=True, error_model="numpy")
def time_fifo(
    kind: Codes, lane: Codes, offsets: Numbers, deps: Numbers, duration_s: Seconds, dispatch_s: Seconds,
    handoff_s: Seconds, free_s: Seconds, dispatched_s: Seconds, start_s: Seconds, end_s: Seconds,
) -> None:  # fmt: skip
    """Fill in the times: an op starts once it is dispatched and ready and its lane free, which may have to wake up.

    `free_s` is since when each lane is free.
    """
    host = 0.0
    for op in range(len(lane)):
        host += dispatch_s[op]
        ready = host
        for d in range(offsets[op], offsets[op + 1]):
            ready = max(ready, end_s[deps[d]])
        dispatched_s[op] = host
        at = lane[op]
        if at == 0:
            start_s[op] = host if kind[op] == _WAIT else ready
            host = ready + duration_s[op]
            end_s[op] = host
        else:
            start = free_s[at]
            if ready > start:
                start = ready + handoff_s[op]
            start_s[op] = start
            end_s[op] = free_s[at] = start + duration_s[op]
