"""Records for the event engine, as they are before anything has happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.cost import Costs
from sim.retiming.state import DEP, LANE, NONE, NOT_YET, OP, RUN, Records, Run
from sim.schedule import Lane, Ops


def op_records(ops: Ops) -> Records:
    """Ops, and one row more, which says where the last one's dependencies end."""
    records = np.empty(len(ops) + 1, OP)
    for name in ("kind", "lane", "priority"):
        records[name][:-1] = getattr(ops, name)
    records["deps"] = ops.deps.offsets
    return records


def dep_records(ops: Ops) -> Records:
    """Dependencies, those of one op after those of another."""
    records = np.empty(len(ops.deps.values), DEP)
    records["on"] = ops.deps.values
    records["op"] = np.repeat(np.arange(len(ops)), np.diff(ops.deps.offsets))
    return records


def new_run(ops: Records, deps: Records, lanes: Sequence[Lane], costs: Costs, scarce: NDArray[np.intp]) -> Run:
    """A run of all ops from the start, which may overwrite their records; only the `scarce` capacities are shared."""
    state = np.zeros(1, RUN)
    state["issued"] = len(ops) - 1
    return Run(
        ops=ops,
        deps=deps,
        lanes=lane_records(lanes),
        state=state,
        duration_s=plain(costs.duration_s),
        dispatch_s=plain(costs.dispatch_s),
        handoff_s=plain(costs.handoff_s),
        demand=plain(costs.demand if len(scarce) == len(costs.capacities) else costs.demand[:, scarce]),
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


def plain(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """The column as the one type of array that compiled code is compiled for."""
    return np.require(column, np.float64, ["C", "W"])
