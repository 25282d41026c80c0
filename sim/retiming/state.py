"""What the event engine works on, as records: ops, their dependencies, lanes, and the run as a whole."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NOT_YET = np.inf
NONE = -1
IDLE, BUSY, WAKING, DISPATCHING, BLOCKED = range(5)  # what a lane is doing; the last two only the host
CHOICES_OVER, CHOOSES_LAST, CHOOSES_NOW = range(3)  # of a priority lane: last of all at an instant

Record = Any  # one row of what follows, a field being an attribute
Records = Any  # NDArray[np.void]; NumPy has no type for records with attributes

OP = np.dtype(
    [
        ("dispatched_s", "f8"),
        ("start_s", "f8"),  # NOT_YET until known, as soon as it is dispatched
        ("end_s", "f8"),
        ("deps", "i4"),  # the first of its dependencies; they end where those of the next op begin
        ("pending", "i4"),  # dependencies that had not ended when it was dispatched, and have not since
        ("waiter", "i4"),  # the first of a list of dependencies on this op: of ops that it holds up
        ("last_waiter", "i4"),
        ("left", "i4"),  # the next op of a fifo lane's queue, or the left branch of a priority lane's heap
        ("right", "i4"),
        ("priority", "i4"),
        ("kind", "u1"),
        ("lane", "u1"),
        ("cancelled", "?"),
    ],
    align=True,
)
DEP = np.dtype([("on", "i4"), ("op", "i4"), ("next_waiter", "i4")])  # `op` depends `on` another
LANE = np.dtype(
    [
        ("until", "f8"),  # when what it is doing ends
        ("turn", "i8"),  # events of one instant happen in this order
        ("doing", "i8"),
        ("op", "i8"),  # which it does, or did last
        ("queue", "i8"),  # the first op of the queue, or the root of the heap
        ("last", "i8"),  # of a fifo lane's queue, unless that is empty
        ("by_priority", "?"),
        ("choosing", "i8"),
        ("looked_at", "?"),  # whether it is among those to look at
        ("free_since", "f8"),
        ("waking_since", "f8"),
        ("rate", "f8"),  # of progress; 0 if it does not draw on shared capacities
        ("left_s", "f8"),  # what it had to do `since` then, in seconds at full speed
        ("since", "f8"),
        ("user", "i8"),  # in place i: the lane that is the i-th to draw on shared capacities
        ("look", "i8"),  # in place i: the lane that is the i-th to look at, which may have something new to do
    ],
    align=True,
)
RUN = np.dtype(
    [
        ("now", "f8"),
        ("next", "i8"),  # op for the host to dispatch
        ("issued", "i8"),  # ops that it knows of
        ("turn", "i8"),
        ("users", "i8"),  # how many lanes draw on shared capacities
        ("looks", "i8"),  # how many lanes to look at
        ("choices", "i8"),  # how many lanes are about to choose
    ]
)


class Run(NamedTuple):
    """A run in progress; `demand` is [op, capacity], lane 0 is the host, `ops` has one row more than there are ops.

    Ops depend on earlier ones only, so that nothing is read of an op but its description before it is dispatched.
    """

    ops: Records
    deps: Records
    lanes: Records
    state: Records
    duration_s: NDArray[np.float64]
    dispatch_s: NDArray[np.float64]
    handoff_s: NDArray[np.float64]
    demand: NDArray[np.float64]
    capacities: NDArray[np.float64]
    loads: NDArray[np.float64]
