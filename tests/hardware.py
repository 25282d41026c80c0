"""Small models, schedules and stand-in tasks for tests that run schedules for real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwexec.backend import Prepared, Run, Task
from hwexec.cores import available_cores, core_of
from hwexec.graph import graph_of
from hwexec.host_run import HostRun
from hwexec.host_state import HostState
from sim.model import Attention, MoEModel
from sim.precision import Precisions
from sim.recorder import OpRecorder
from sim.schedule import Kind, Lane, Phase, Schedule, Step
from sim.timeline import Times
from tests.machines import tiny_model

FP32 = Precisions("fp32", "fp32", "fp32")
LANES = (Lane("host"), Lane("gpu0"), Lane("gpu0.h2d", "priority"), Lane("cpu"), Lane("worker"))
HOST, GPU, COPY, CPU, WORKER = range(5)
TOLERANCE_S = 2e-3  # how far apart a busy machine may see the clocks of a GPU and its host


class Written:
    """A schedule written op by op, with no rule of a strategy in the way."""

    def __init__(self, lanes: Sequence[Lane] = LANES) -> None:
        self._recorder, self._lanes = OpRecorder(), tuple(lanes)

    def op(
        self, lane: int, deps: Sequence[int] = (), *, kind: Kind = Kind.EXPERT, priority: int = 0,
        seconds: float = float("nan"),
    ) -> int:  # fmt: skip
        return self._recorder.append((kind, lane, 0, 0, 0, 0, 0, 0, 1, 0, 1, priority, 0, seconds), deps)

    def wait(self, *deps: int) -> int:
        return self.op(HOST, deps, kind=Kind.WAIT)

    def cancel(self, op: int) -> int:
        return self.op(HOST, [op], kind=Kind.CANCEL)

    def schedule(self) -> Schedule:
        steps = (Step(Phase.DECODE, 0, 1, 1, 0),)
        return Schedule(self._recorder.take(), self._lanes, steps, tiny_model(), FP32, n_slots=1)


class StandIn(Prepared):
    """The threads and rules of the host backend, with tasks of a test's own."""

    def __init__(self, schedule: Schedule, task: Callable[[int], Task | None]) -> None:
        self.meta = {}
        self._schedule = schedule
        self._tasks = [task(op) for op in range(len(schedule))]

    def start(self) -> Run:
        cores = core_of((lane.name for lane in self._schedule.lanes), available_cores())
        state = HostState(self._schedule, graph_of(self._schedule), self._tasks)
        return HostRun(self._schedule, state, {lane: (core,) for lane, core in cores.items()})

    def condition(self) -> dict[str, float]:
        return {}

    def close(self) -> None:
        pass


def check_rules(schedule: Schedule, times: Times) -> None:
    """Assert what every execution of a schedule must keep to."""
    ops = schedule.ops
    withdrawn = times.cancelled
    assert (times.dispatched_s <= times.start_s).all()
    assert (times.start_s <= times.end_s).all()
    assert (np.diff(times.dispatched_s) >= 0).all()
    for op in range(len(schedule)):
        last = times.end_s[ops.dependencies(op)].max(initial=0.0)
        if ops.kind[op] == Kind.WAIT:
            assert times.end_s[op] >= last
        elif ops.kind[op] != Kind.CANCEL and not withdrawn[op]:
            assert times.start_s[op] >= last
    for number, lane in enumerate(schedule.lanes):
        mine = np.flatnonzero((ops.lane == number) & ~withdrawn)
        order = mine if lane.discipline == "fifo" else mine[np.argsort(times.start_s[mine], kind="stable")]
        assert (times.start_s[order][1:] >= times.end_s[order][:-1]).all(), f"{lane.name} does one op at a time"
    held = np.flatnonzero(ops.lane == HOST)
    after = held[held + 1 < len(schedule)]
    assert (times.dispatched_s[after + 1] >= times.end_s[after]).all(), "the host is held by its own ops"


def check_almost(schedule: Schedule, times: Times) -> None:
    """The rules, where ops timed by the GPU and by the host may seem to overlap by what the clocks are apart."""
    ops = schedule.ops
    assert (times.dispatched_s <= times.start_s).all()
    assert (times.start_s <= times.end_s).all()
    assert (np.diff(times.dispatched_s) >= 0).all()
    for op in range(len(schedule)):
        last = times.end_s[ops.dependencies(op)].max(initial=0.0)
        if ops.kind[op] != Kind.CANCEL and not times.cancelled[op]:
            assert times.end_s[op] >= last - TOLERANCE_S
            assert ops.kind[op] == Kind.WAIT or times.start_s[op] >= last - TOLERANCE_S
    for number in range(1, len(schedule.lanes)):
        mine = np.flatnonzero((ops.lane == number) & ~times.cancelled)
        order = mine[np.argsort(times.start_s[mine], kind="stable")]
        assert (times.start_s[order][1:] >= times.end_s[order][:-1] - TOLERANCE_S).all()


def small_model(**changes: Any) -> MoEModel:
    """A SwiGLU model with grouped queries, a dense first block and a shared expert."""
    shapes: dict[str, Any] = {
        "n_layers": 3, "hidden": 32, "vocab": 64, "expert_hidden": 48, "matrices": 3, "moe_layers": (1, 2),
        "dense_hidden": 40, "shared_hidden": 24, "attention": Attention("gqa", heads=4, kv_heads=2, head_dim=8),
    }  # fmt: skip
    return replace(tiny_model(), **{**shapes, **changes})
