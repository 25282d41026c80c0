"""What a trace routes and what a schedule computes, counted one by one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from sim.model import MoEModel
from sim.schedule import Kind, Schedule
from sim.trace import RoutingTrace
from sim.workload import steps

Routed = Counter[tuple[int, int, int]]  # (step, block, expert): tokens


def routed(trace: RoutingTrace, model: MoEModel, batch: int) -> Routed:
    """What the trace routes, token by token; encoder blocks run in prefill only."""
    found: Routed = Counter()
    for number, step in enumerate(steps(trace, batch)):
        for row in step.token_rows:
            for moe, layer in enumerate(model.moe_layers):
                if step.phase == "prefill" or layer >= model.encoder_layers:
                    found.update((number, layer, int(e)) for e in trace.ids[row, moe] if e != trace.missing)
    return found


def computed(schedule: Schedule) -> Routed:
    """What the schedule computes; an expert of a step and block in two ops shows as a negative count."""
    ops = schedule.ops
    done: Routed = Counter()
    for op in np.flatnonzero((ops.kind == Kind.EXPERT) & (ops.expert >= 0)):
        key = int(ops.step[op]), int(ops.layer[op]), int(ops.expert[op])
        done[key] = -1 if key in done else int(ops.tokens[op])
    return done


def differing(a: Counter[Any], b: Counter[Any]) -> dict[Any, tuple[int, int]]:
    """Both counts of all keys whose counts differ."""
    return {key: (a[key], b[key]) for key in sorted(a.keys() | b.keys()) if a[key] != b[key]}
