"""Runs a Schedule on this computer and returns what happened when."""

from __future__ import annotations

from hwexec.backend import Backend, Prepared
from hwexec.backends import make_backend
from hwexec.dispatch import run_once
from sim.errors import InputError
from sim.schedule import Schedule
from sim.timeline import Timeline


def execute(schedule: Schedule, backend: str | Backend = "host", *, repeats: int = 1, seed: int = 0) -> list[Timeline]:
    """Execute `schedule` for real, `repeats` times on the same buffers, and return one measured Timeline each.

    `seed` draws the values of weights and activations. Raises InputError if there is no such backend or no kernel for
    the model or precision, DoesNotFit before anything is allocated if memory is short, ExecutionError if an op fails.
    """
    if repeats < 1:
        raise InputError("must be at least 1", field="repeats", value=repeats, remedy="leave it out for one run")
    runner = make_backend(backend) if isinstance(backend, str) else backend
    with runner.prepare(schedule, seed=seed) as prepared:
        return [_run(schedule, prepared, repeat) for repeat in range(repeats)]


def _run(schedule: Schedule, prepared: Prepared, repeat: int) -> Timeline:
    """One run, with the machine's condition before and after it."""
    before = prepared.condition()
    times = run_once(schedule, prepared)
    meta = {**prepared.meta, "repeat": repeat, "condition_before": before, "condition_after": prepared.condition()}
    return Timeline(schedule, times, "measured", meta)
