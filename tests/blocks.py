"""Ops and Costs from the reference timer's plain ops, so that both can be given the same schedule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.cost import Costs
from sim.engine import Engine
from sim.recorder import OpRecorder
from sim.schedule import Kind, Lane, Ops
from tests.reference_timer import RefOp

Interval = tuple[float, float, float]


def to_ops(ops: Sequence[RefOp]) -> Ops:
    recorder = OpRecorder()
    for op in ops:
        kind = Kind.WAIT if op.is_wait else Kind.CANCEL if op.is_cancel else Kind.SOFTWARE
        recorder.append((kind, op.lane, 0, 0, 0, 0, -1, -1, 1, 0, 1, op.priority, 0, float("nan")), op.deps)
    return recorder.take()


def to_costs(ops: Sequence[RefOp], capacities: Sequence[float] = ()) -> Costs:
    demand = [list(op.demand) or [0.0] * len(capacities) for op in ops]
    return Costs(
        duration_s=np.array([op.duration_s for op in ops], np.float64),
        dispatch_s=np.array([op.dispatch_s for op in ops], np.float64),
        handoff_s=np.array([op.handoff_s for op in ops], np.float64),
        demand=np.array(demand, np.float64).reshape(len(ops), len(capacities)),
        capacities=tuple(capacities),
    )


def to_lanes(disciplines: Sequence[str]) -> list[Lane]:
    return [Lane("host")] + [
        Lane(f"lane{i}", "priority" if d == "priority" else "fifo") for i, d in enumerate(disciplines) if i
    ]


def run_engine(ops: Sequence[RefOp], disciplines: Sequence[str], capacities: Sequence[float] = ()) -> list[Interval]:
    engine = Engine(to_lanes(disciplines), capacities)
    engine.feed(to_ops(ops), to_costs(ops, capacities))
    engine.finish()
    times = engine.take()
    return list(zip(times.dispatched_s.tolist(), times.start_s.tolist(), times.end_s.tolist(), strict=True))
