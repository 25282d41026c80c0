"""Records for the event engine, as they are before anything has happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.cost import Costs
from sim.retiming.state import DEP, LANE, NONE, NOT_YET, OP, RUN, Records, Run
from sim.schedule import Lane, Ops


def op_records(ops: Ops) -> Records:
    """Ops without their costs, and one row more, which says where the last one's dependencies end."""
    records = np.zeros(len(ops) + 1, OP)
    for name in ("kind", "lane", "priority"):
        records[name][:-1] = getattr(ops, name)
    for name in ("start_s", "end_s"):
        records[name] = NOT_YET
    records["deps"] = ops.deps.offsets
    records["waiter"] = NONE
    return records


def dep_records(ops: Ops) -> Records:
    """Dependencies, those of one op after those of another."""
    records = np.zeros(len(ops.deps.values), DEP)
    records["on"] = ops.deps.values
    records["op"] = np.repeat(np.arange(len(ops)), np.diff(ops.deps.offsets))
    return records


def new_run(ops: Records, deps: Records, lanes: Sequence[Lane], costs: Costs, scarce: NDArray[np.intp]) -> Run:
    """A run of all ops from the start; only the `scarce` among the capacities are shared."""
    ops = ops.copy()
    for name in ("duration_s", "dispatch_s", "handoff_s"):
        ops[name][:-1] = getattr(costs, name)
    state = np.zeros(1, RUN)
    state["issued"] = len(ops) - 1
    return Run(
        ops=ops,
        deps=deps.copy(),
        lanes=lane_records(lanes),
        state=state,
        demand=np.ascontiguousarray(costs.demand[:, scarce]),
        capacities=np.array(costs.capacities, np.float64)[scarce],
        loads=np.zeros(len(scarce)),
    )


def lane_records(lanes: Sequence[Lane]) -> Records:
    """Idle lanes."""
    records = np.zeros(len(lanes), LANE)
    records["until"] = NOT_YET
    records["queue"] = records["last"] = NONE
    records["by_priority"] = [lane.discipline == "priority" for lane in lanes]
    return records
