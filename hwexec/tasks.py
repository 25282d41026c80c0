"""Every op of a Schedule as a call without arguments, built before the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from hwexec.backend import Task
from hwexec.compute import compute_task
from hwexec.memory import Memory
from hwexec.workspace import Workspace
from sim.kernel_cost import OpSize
from sim.schedule import Kind, Schedule

_COMPUTE = frozenset((Kind.ATTENTION, Kind.GATE, Kind.EXPERT, Kind.COMBINE, Kind.HEAD))


class _Job(NamedTuple):
    """What two ops must agree on to share a task."""

    kind: Kind
    lane: int
    slot: int
    size: OpSize


class TaskBuilder:
    """Builds tasks on one Memory; ops that do the same thing share one. `copy` enqueues or makes a copy."""

    def __init__(
        self, schedule: Schedule, memory: Memory, gpu: torch.device, copy: Callable[[torch.Tensor, torch.Tensor], Task]
    ) -> None:
        self._schedule, self._memory, self._gpu, self._copy = schedule, memory, gpu, copy
        self._on_gpu = [lane.name.startswith("gpu") for lane in schedule.lanes]
        self._spaces: dict[tuple[int, torch.dtype], Workspace] = {}

    def build(self) -> list[Task | None]:
        """One task an op; None for what the host or a worker does (wait, cancel, software)."""
        jobs = self._jobs()
        largest_first = sorted(set(jobs), key=lambda job: (-job.size.tokens, -job.size.context))
        tasks = {job: self._task(job) for job in largest_first}
        return [tasks[job] for job in jobs]

    def _jobs(self) -> list[_Job]:
        ops = self._schedule.ops
        sizes = zip(
            ops.layer.tolist(), ops.expert.tolist(), ops.tokens.tolist(), ops.context.tolist(), ops.sequences.tolist(),
            ops.size_bytes.tolist(), strict=True,
        )  # fmt: skip
        kinds = [Kind(kind) for kind in ops.kind.tolist()]
        columns = zip(kinds, ops.lane.tolist(), ops.slot.tolist(), sizes, strict=True)
        return [_Job(kind, lane, slot, OpSize(*size)) for kind, lane, slot, size in columns]

    def _task(self, job: _Job) -> Task | None:
        size, memory = job.size, self._memory
        if job.kind in _COMPUTE:
            weights = memory.weights(size.layer, size.expert, job.slot, on_gpu=self._on_gpu[job.lane])
            return compute_task(self._schedule.model, job.kind, size, weights, self._space(job))
        if job.kind == Kind.LOAD and size.expert < 0:
            return self._copy(memory.gpu_blocks[size.layer], memory.host_blocks[size.layer])
        if job.kind == Kind.LOAD:
            return self._copy(memory.slots[job.slot], memory.host_expert((size.layer, size.expert)))
        if job.kind == Kind.UNLOAD:
            return self._copy(memory.host_expert((size.layer, size.expert)), memory.slots[job.slot])
        if job.kind == Kind.SEND:
            return self._send(job)
        if job.kind == Kind.READ:
            return self._read(job)
        return None

    def _send(self, job: _Job) -> Task:
        on_gpu, on_host = (part[: job.size.size_bytes] for part in self._memory.staging)
        down = self._schedule.lanes[job.lane].name.endswith("d2h")
        return self._copy(on_host, on_gpu) if down else self._copy(on_gpu, on_host)

    def _read(self, job: _Job) -> Task:
        storage, target = self._memory.storage, self._memory.host_expert((job.size.layer, job.size.expert))
        if storage is None:
            raise TypeError("a schedule that reads from storage needs a file")
        return lambda: storage.read_into(target)

    def _space(self, job: _Job) -> Workspace:
        routed = job.kind == Kind.EXPERT and job.size.expert >= 0
        dtype = self._memory.expert_dtype if routed else self._memory.dtype
        key = (job.lane, dtype)
        if key not in self._spaces:
            device = self._gpu if self._on_gpu[job.lane] else torch.device("cpu")
            self._spaces[key] = Workspace(dtype, device, seed=job.lane)
        return self._spaces[key]


def copy_now(target: torch.Tensor, source: torch.Tensor) -> Task:
    """A copy made by the thread that asks for it."""

    def run() -> None:
        target.copy_(source)

    return run


def enqueue_copy(target: torch.Tensor, source: torch.Tensor) -> Task:
    """A copy given to the calling thread's stream; from or to pinned memory, the thread goes on at once."""

    def run() -> None:
        target.copy_(source, non_blocking=True)

    return run
