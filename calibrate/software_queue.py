"""What software in front of a copy engine costs: the gap between two copies that a priority lane hands over."""

from __future__ import annotations

from functools import partial
from time import perf_counter

import numpy as np

from calibrate.journal import Samples
from calibrate.probe import probe_model, side_by_side
from calibrate.units import Unit
from hwexec.backend import Backend
from hwexec.dispatch import run_once
from sim.model import MoEModel
from sim.precision import Precisions
from sim.program import H2D
from sim.schedule import Schedule
from sim.timeline import Times

GAP = "queue gap"
_COPIES = 16


def queue_unit(backend: Backend, model: MoEModel, precisions: Precisions, budget_s: float) -> Unit:
    """Loads that wait for nothing but the queue, run as often as the budget allows."""
    schedule = side_by_side(probe_model(model), precisions, {"copy": _COPIES}, copy_priority=True)
    return Unit("software queue", budget_s, partial(_measure, backend, schedule))


def _measure(backend: Backend, schedule: Schedule, budget_s: float, _: Samples) -> Samples:
    found: list[float] = []
    began = perf_counter()
    with backend.prepare(schedule) as prepared:
        run_once(schedule, prepared)
        while not found or perf_counter() - began < budget_s:
            found += gaps(schedule, run_once(schedule, prepared))
    return {GAP: found}


def gaps(schedule: Schedule, times: Times) -> list[float]:
    """From the end of each upload to the start of the next that had been dispatched by then."""
    mine = np.flatnonzero(schedule.ops.lane == schedule.lane_index[H2D])
    order = mine[np.argsort(times.start_s[mine], kind="stable")]
    before, after = order[:-1], order[1:]
    waiting = times.dispatched_s[after] < times.end_s[before]
    seconds = times.start_s[after] - times.end_s[before]
    return [float(s) for s in np.maximum(seconds[waiting], 0.0)]
