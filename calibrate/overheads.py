"""What software costs: dispatching an op, resuming after a wait, waking a lane; read off executed schedules."""

from __future__ import annotations

from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from calibrate.journal import Samples
from calibrate.probe import decode_like, probe_model
from calibrate.units import Unit
from hwexec.backend import Backend
from hwexec.dispatch import run_and_hand_over, run_once
from sim.model import MoEModel
from sim.precision import Precisions
from sim.schedule import Kind, Schedule
from sim.timeline import Times

ROUNDS = 4
_STEPS = 12
_DEVICES = {"gpu0": "gpu", "gpu0.h2d": "link", "gpu0.d2h": "link", "cpu": "cpu", "storage": "storage"}


def overhead_units(
    backend: Backend, model: MoEModel, precisions: Precisions, budget_s: float, prefix: str = ""
) -> list[Unit]:
    """Rounds of a decode-like schedule, each executed as often as its share of the budget allows.

    `prefix` begins the names of the units and of their samples.
    """
    schedule = decode_like(probe_model(model), precisions, _STEPS)
    measure = partial(_measure, backend, schedule, prefix)
    name, share_s = f"{prefix}overheads round", budget_s / ROUNDS
    return [Unit(f"{name} {turn}", share_s, measure, turn > 0) for turn in range(ROUNDS)]


def _measure(backend: Backend, schedule: Schedule, prefix: str, budget_s: float, _: Samples) -> Samples:
    samples: Samples = {}
    began = perf_counter()
    with backend.prepare(schedule) as prepared:
        run_once(schedule, prepared)
        while not samples or perf_counter() - began < budget_s:
            times, handed_over_s = run_and_hand_over(schedule, prepared)
            for name, seconds in overheads(schedule, times, handed_over_s).items():
                samples.setdefault(prefix + name, []).extend(seconds)
    return samples


def overheads(schedule: Schedule, times: Times, handed_over_s: NDArray[np.float64] | None = None) -> Samples:
    """Samples `dispatch KIND`, `sync` (from the end of what was waited for) and `handoff DEVICE` of one execution.

    `handed_over_s`: when the host was done dispatching each op, where that is later than the op counts as dispatched.
    """
    ops = schedule.ops
    samples: Samples = {"sync": _sync_s(schedule, times)}
    gaps = _dispatch_gaps_s(schedule, times.end_s, times.dispatched_s if handed_over_s is None else handed_over_s)
    for kind in np.unique(ops.kind).tolist():
        samples[f"dispatch {Kind(kind).name.lower()}"] = gaps[ops.kind == kind].tolist()
    for number, lane in enumerate(schedule.lanes):
        if lane.name in _DEVICES:
            woken = _handoff_s(schedule, times, number)
            samples.setdefault(f"handoff {_DEVICES[lane.name]}", []).extend(woken)
    return {name: seconds for name, seconds in samples.items() if seconds}


def _dispatch_gaps_s(
    schedule: Schedule, end_s: NDArray[np.float64], dispatched_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """From when the host turned to each op until it had dispatched it."""
    free = np.where(schedule.ops.lane == 0, end_s, dispatched_s)
    return np.maximum(dispatched_s - np.concatenate(([0.0], free[:-1])), 0.0)


def _sync_s(schedule: Schedule, times: Times) -> list[float]:
    found = []
    for op in np.flatnonzero(schedule.ops.kind == Kind.WAIT).tolist():
        ended = float(times.end_s[schedule.ops.dependencies(op)].max(initial=0.0))
        if ended > times.start_s[op]:
            found.append(float(times.end_s[op]) - ended)
    return found


def _handoff_s(schedule: Schedule, times: Times, lane: int) -> list[float]:
    """From when an op could have run to when it did, where its lane had nothing else to do."""
    found, free = [], 0.0
    for op in np.flatnonzero(schedule.ops.lane == lane).tolist():
        last = float(times.end_s[schedule.ops.dependencies(op)].max(initial=0.0))
        ready = max(last, float(times.dispatched_s[op]))
        if ready > free:
            found.append(max(0.0, float(times.start_s[op]) - ready))
        free = float(times.end_s[op])
    return found
