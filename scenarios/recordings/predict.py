"""Predicting recordings anew: what the simulator of today says of what hardware did then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from scenarios.recordings.store import Recording, recordings_in
from scenarios.validate import Seen, Validated, Validation, ignore, makespan_range, sum_up
from sim.compare import compare
from sim.condition import condition
from sim.cost import CostModel
from sim.kernel_cost import measures
from sim.machine import Machine
from sim.retime import retime
from sim.timeline import Timeline


def predicted(recording: Recording, machine: Machine, seen: Seen = ignore) -> Validated:
    """One recording beside its prediction on the machine that was calibrated before it; `seen` is shown both."""
    schedule = recording.timeline.schedule
    costs = CostModel(machine, schedule.model, schedule.precisions)
    prices = costs.of_schedule(schedule)
    simulated = retime(schedule, prices)
    found = compare(simulated, recording.timeline)
    speeds = [speed for each in _runs(recording) if (speed := condition(each, machine)) is not None]
    validated = Validated(
        scenario=recording.scenario,
        label=recording.label,
        n_ops=len(schedule),
        comparison=replace(found, repeat_spread=recording.spread, runs=len(recording.makespans_s)),
        warnings=tuple(costs.warnings),
        condition=float(np.median(speeds)) if speeds else None,
        range_s=makespan_range(schedule, costs),
        unseen=not measures(machine, schedule.model, schedule.precisions),
    )
    seen(validated, recording.timeline, simulated, prices)
    return validated


def predict_all(title: str, path: Path, machine: Machine, seen: Seen = ignore) -> Validation:
    """All recordings of a file, summed up; raises FormatError if there are none or the file is damaged."""
    return sum_up(title, machine.name, [predicted(recording, machine, seen) for recording in recordings_in(path)])


def _runs(recording: Recording) -> list[Timeline]:
    """The runs as far as their conditions go."""
    pairs = zip(recording.conditions[::2], recording.conditions[1::2], strict=False)
    return [
        replace(recording.timeline, meta={"condition_before": before, "condition_after": after})
        for before, after in pairs
    ]
