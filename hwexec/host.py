"""The host backend: threads pinned to cores stand in for the GPU, its copy engines and the CPU's expert workers.

Copies are memory copies and kernels are real, so that the loop of planning, predicting, executing and comparing runs
on a machine without a GPU.
"""

from __future__ import annotations

import psutil
import torch

from hwexec.backend import Backend, Prepared
from hwexec.compute import check_model
from hwexec.condition import Yardstick
from hwexec.cores import available_cores, core_of
from hwexec.fingerprint import cache_bytes, fingerprint
from hwexec.graph import graph_of
from hwexec.host_run import HostRun
from hwexec.host_state import HostState
from hwexec.memory import Memory
from hwexec.needs import host_pool, memory_items, needs_of
from hwexec.tasks import TaskBuilder, copy_now
from hwexec.workspace import dtype_of
from sim.errors import InputError
from sim.schedule import Schedule

_SHARE = 0.85  # of the free memory that a schedule may take


class HostBackend(Backend):
    """Runs schedules on this computer's cores. `usable_bytes` limits its memory (default: most of what is free)."""

    name = "host"

    def __init__(self, usable_bytes: int | None = None) -> None:
        self._usable_bytes = usable_bytes

    def prepare(self, schedule: Schedule, *, seed: int = 0) -> HostPrepared:
        """Allocate, fill and build tasks; raises DoesNotFit or InputError before allocating."""
        check_model(schedule.model)
        precisions = schedule.precisions
        dtype_of(precisions.experts)
        if dtype_of(precisions.rest) != dtype_of(precisions.kv):
            raise InputError(
                "attention kernels read a KV cache in the weights' own precision",
                field="precision.kv",
                value=precisions.kv,
                remedy=f"use {precisions.rest}",
            )
        needs = needs_of(schedule)
        usable = self._usable_bytes or round(_SHARE * psutil.virtual_memory().available)
        rotating = 2 + 2 * cache_bytes() // schedule.model.expert_bytes(precisions.experts)
        pool = host_pool(schedule, needs, memory_items(schedule, needs), usable, least=rotating)
        memory = Memory(schedule, needs, pool, torch.device("cpu"), seed)
        prepared = HostPrepared(schedule, memory)
        prepared.meta |= {"seed": seed, "host_experts": len(needs.host_experts), "host_expert_buffers": pool}
        return prepared


class HostPrepared(Prepared):
    """A schedule with its memory and tasks, to be executed as often as wanted."""

    def __init__(self, schedule: Schedule, memory: Memory) -> None:
        self._schedule, self._memory = schedule, memory
        self._graph = graph_of(schedule)
        self._cores = core_of((lane.name for lane in schedule.lanes), available_cores())
        self._yardstick = Yardstick()
        self._tasks = TaskBuilder(schedule, memory, torch.device("cpu"), copy_now).build()
        self.meta = {"backend": "host", "cores": self._cores, "fingerprint": fingerprint()}

    def start(self) -> HostRun:
        """Start the lanes that have work; returns when all of them are up."""
        seats = {lane: (core,) for lane, core in self._cores.items()}
        return HostRun(self._schedule, HostState(self._schedule, self._graph, self._tasks), seats)

    def condition(self) -> dict[str, float]:
        """Bytes a second that the slower of the cores that compute reads from memory."""
        cores = {self._cores[lane.name] for lane in self._schedule.lanes if lane.name in ("gpu0", "cpu")}
        return {"read_bytes_per_s": min(map(self._yardstick.bytes_per_s, cores))}

    def close(self) -> None:
        """Give back what was taken."""
        self._memory.close()
