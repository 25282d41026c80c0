"""Hypothesis strategies shared by several test modules."""

from __future__ import annotations

from collections.abc import Sequence
from math import sin

from hypothesis import strategies as st

from tests.reference_timer import RefOp

RandomSchedule = tuple[list[RefOp], list[str], list[float]]  # ops, discipline of each lane, capacities

HOST = 0
lane_sets = st.lists(st.sampled_from(["fifo", "priority"]), min_size=1, max_size=4).map(lambda rest: ["host", *rest])


@st.composite
def random_schedules(
    draw: st.DrawFn,
    *,
    lanes: Sequence[str] | None = None,
    sharing: bool | None = None,
    cancels: bool = True,
    handoffs: bool = True,
    max_ops: int = 24,
) -> RandomSchedule:
    """Draw ops with waits, host software, priorities, cancels and zero durations; lane 0 is the host.

    Without `sharing` every number is a multiple of 1/4: sums are exact, and instants coincide all the time.
    With it each op has a unit of time of its own, so that ends coincide only where the rules make them: else
    the last bit would decide which comes first. Two ties are left out, for engines may break them as they
    like: choices of several priority lanes that hang on each other within one instant (so there, ops take
    time), and whether a cancel finds an op that comes and goes in its very instant (so targets take time).
    """
    names = list(lanes or draw(lane_sets))
    shared = draw(st.booleans()) if sharing is None else sharing
    capacities = draw(st.lists(st.sampled_from([1.0, 1.5, 2.5]), min_size=1, max_size=2)) if shared else []
    quarters = st.integers(0, 12).map(lambda n: n / 4)
    handoff = [0.0] * len(names)
    if handoffs:
        unit_s = 1.5 + sin(100) if shared else 1.0
        handoff[1:] = [unit_s * draw(st.sampled_from([0.0, 0.25, 0.5])) * lane for lane in range(1, len(names))]
    ops: list[RefOp] = []
    for i in range(draw(st.integers(1, max_ops))):
        own_s = 1.5 + sin(i) if shared else 1.0  # sin(1), sin(2), … have no sum in common
        lane = draw(st.integers(HOST, len(names) - 1))
        kind = draw(st.sampled_from(["software", "wait", "cancel"])) if lane == HOST else names[lane]
        targets = [j for j, op in enumerate(ops) if op.lane != HOST and op.duration_s]
        deps = draw(st.lists(st.integers(0, i - 1), max_size=3, unique=True)) if i else []
        dispatch_s = own_s * draw(st.sampled_from([0.0, 0.0, 0.25, 0.5]))
        if kind == "cancel" and cancels and targets:
            ops.append(RefOp(HOST, 0.0, dispatch_s, (draw(st.sampled_from(targets)),), is_cancel=True))
            continue
        duration_s = own_s * draw(quarters)
        if kind == "priority" and names.count("priority") > 1:
            duration_s += own_s / 4
        demands = st.sampled_from([0.0, 0.5, 1.0, 2.0])
        demand = tuple(draw(demands) for _ in capacities) if kind != "wait" else ()
        ops.append(
            RefOp(
                lane,
                duration_s,
                dispatch_s,
                tuple(sorted(deps)),
                priority=draw(st.integers(0, 3)) if kind == "priority" else 0,
                is_wait=kind == "wait",
                demand=demand,
                handoff_s=handoff[lane],
            )
        )
    return ops, names, capacities
