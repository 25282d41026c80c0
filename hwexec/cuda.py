"""The CUDA backend: streams for compute and copies, events for order and time, threads for the CPU's experts."""

from __future__ import annotations

from typing import Any, Literal

import psutil
import torch

from hwexec.backend import Backend, Prepared
from hwexec.compute import check_model
from hwexec.cores import available_cores, cores_beside_gpu
from hwexec.cuda_run import CudaRun, Rig
from hwexec.device import Device, Event, Stream
from hwexec.device_clock import DeviceClock
from hwexec.fingerprint import cache_bytes, fingerprint
from hwexec.launches import capture_runs, launches_of
from hwexec.memory import Memory
from hwexec.needs import Needs, check_fits, gpu_items, host_items, host_pool, needs_of
from hwexec.pinned import PinnedSpace, layout_bytes
from hwexec.tasks import TaskBuilder, enqueue_copy
from hwexec.warm_up import warm_up
from hwexec.wiring import COPIES, Wiring, wiring_of
from hwexec.workspace import DTYPES, computed_in, dtype_of
from sim.errors import DoesNotFit, InputError
from sim.schedule import Schedule

_GPU_SHARE, _HOST_SHARE = 0.92, 0.8  # of the free memory that a schedule may take
_SMALLEST_POOL = 2 << 30  # bytes: beyond what caches of processors hold


class CudaBackend(Backend):
    """Runs schedules on one GPU. It keeps pinned memory from one schedule to the next: `close` it.

    `copies`: from pinned or pageable host memory. `cpu_threads` limits the threads of the CPU's experts (default: all
    cores that no other lane needs). `graphs`: runs of ops without a wait are captured and launched as one.
    `gpu_bytes` and `host_bytes` limit the memory taken (default: most of what is free).
    """

    name = "cuda"

    def __init__(
        self, device: Device, *, copies: Literal["pinned", "pageable"] = "pinned", cpu_threads: int | None = None,
        graphs: bool = False, gpu_bytes: int | None = None, host_bytes: int | None = None,
    ) -> None:  # fmt: skip
        self.device, self.copies, self.graphs = device, copies, graphs
        self._cpu_threads, self._gpu_bytes, self._host_bytes = cpu_threads, gpu_bytes, host_bytes
        self._space = PinnedSpace(device, pin=copies == "pinned")
        self._events: list[Event] = []
        self.computer = fingerprint() | device.fingerprint()

    def prepare(self, schedule: Schedule, *, seed: int = 0) -> CudaPrepared:
        """Allocate, fill, build and warm up; raises DoesNotFit or InputError before allocating."""
        check_precisions(schedule)
        needs = needs_of(schedule)
        wiring = wiring_of(schedule, blocking_copies=self.copies == "pageable")
        pool, dequantised = self._check_memory(schedule, needs)
        try:
            self._reserve(schedule, needs, pool)
            memory = Memory(schedule, needs, pool, self.device.gpu, seed, self._space, dequantised)
            return CudaPrepared(self, schedule, wiring, memory, self._meta(schedule, needs, pool, seed))
        except torch.OutOfMemoryError as error:
            raise DoesNotFit(
                "the GPU ran out of memory while the schedule was prepared",
                field="memory", remedy="cache fewer experts, or end what else uses the GPU",
            ) from error  # fmt: skip

    def cores(self, schedule: Schedule) -> dict[str, tuple[int, ...]]:
        """Which cores each lane's thread runs on; the lanes of streams are dispatched by the host's."""
        return cores_beside_gpu((lane.name for lane in schedule.lanes), available_cores(), self._cpu_threads)

    def events(self, n: int) -> list[Event]:
        """So many events, kept from one schedule to the next, for they take time to make."""
        while len(self._events) < n:
            self._events.append(self.device.new_event())
        return self._events[:n]

    def words(self, n: int) -> Any:
        """Words for signals, until the next schedule is prepared."""
        return self._space.words(n)

    def close(self) -> None:
        """Give pinned memory back."""
        self._space.close()

    def _check_memory(self, schedule: Schedule, needs: Needs) -> tuple[int, int]:
        """Expert buffers on the host, and dequantised ones on each side; raises DoesNotFit, showing the sum."""
        model, experts = schedule.model, schedule.precisions.experts
        gpu, host = gpu_items(schedule, needs), host_items(schedule, needs)
        dequantised = 0
        if experts not in DTYPES:
            each = model.expert_bytes(computed_in(experts))
            beyond_caches = 2 + 2 * max(self.device.cache_bytes(), cache_bytes()) // each
            dequantised = min(beyond_caches, max(schedule.n_slots, len(needs.host_experts), 1))
            gpu["dequantised experts"] = host["dequantised experts"] = dequantised * each
        check_fits("the GPU", gpu, self._gpu_bytes or round(_GPU_SHARE * self.device.free_bytes()))
        free = psutil.virtual_memory().available + self._space.held_bytes
        usable = self._host_bytes or round(_HOST_SHARE * free)
        least = 2 + max(2 * cache_bytes(), _SMALLEST_POOL) // model.expert_bytes(experts)
        return host_pool(schedule, needs, host, usable, least), dequantised

    def _reserve(self, schedule: Schedule, needs: Needs, pool: int) -> None:
        model, precisions = schedule.model, schedule.precisions
        dtype = DTYPES.get(precisions.experts, torch.uint8)
        sizes = [model.expert_bytes(precisions.experts)] * pool
        if dtype == dtype_of(precisions.rest):
            sizes += [model.layer_bytes(layer, precisions.rest) for layer in needs.host_blocks]
        self._space.reserve(layout_bytes(sizes), dtype)

    def _meta(self, schedule: Schedule, needs: Needs, pool: int, seed: int) -> dict[str, Any]:
        experts = schedule.precisions.experts
        meta: dict[str, Any] = {
            "backend": self.name, "copies": self.copies, "graphs": self.graphs, "seed": seed,
            "host_experts": len(needs.host_experts), "host_expert_buffers": pool,
            "signals": "streams wait for host memory" if self.device.signals else "the host waits for its threads",
            "fingerprint": self.computer,
        }  # fmt: skip
        if experts not in DTYPES:
            meta["quantised"] = (
                f"{experts} bytes move; kernels compute in {computed_in(experts)}, dequantised beforehand"
            )
        return meta


def check_precisions(schedule: Schedule) -> None:
    """Raise InputError if the model or a precision has no kernel; routed experts may be in any precision."""
    check_model(schedule.model)
    precisions = schedule.precisions
    if dtype_of(precisions.rest) != dtype_of(precisions.kv):
        raise InputError(
            "attention kernels read a KV cache in the weights' own precision",
            field="precision.kv", value=precisions.kv, remedy=f"use {precisions.rest}",
        )  # fmt: skip


class CudaPrepared(Prepared):
    """A schedule with its memory, tasks, events and streams, warmed up, to be executed as often as wanted."""

    def __init__(
        self, backend: CudaBackend, schedule: Schedule, wiring: Wiring, memory: Memory, meta: dict[str, Any]
    ) -> None:
        self._backend, self._schedule, self._memory = backend, schedule, memory
        device = backend.device
        self._cores = backend.cores(schedule)
        self.meta = meta | {
            "cores": {lane: list(cores) for lane, cores in self._cores.items()},
            "queues": [schedule.lanes[number].name for number in sorted(wiring.queues)],
        }
        self._tasks = TaskBuilder(schedule, memory, device.gpu, enqueue_copy).build()
        lanes = schedule.ops.lane.tolist()
        streams: dict[int, Stream] = {n: device.new_stream() for n in sorted(wiring.streams | wiring.queues)}
        on_gpu = [op for op, lane in enumerate(lanes) if lane in streams]
        events = backend.events(2 * len(on_gpu))
        marks = {op: (events[2 * i], events[2 * i + 1]) for i, op in enumerate(on_gpu)}
        copies = {number for number in streams if schedule.lanes[number].name in COPIES}
        warm_up(device, streams, lanes, self._tasks, events, copies)
        launches = launches_of(schedule, wiring, device, streams, self._tasks, marks)
        if backend.graphs:
            self.meta["graphs"] = capture_runs(schedule, wiring, device, streams, self._tasks, marks, launches)
        clock = DeviceClock(device, device.new_stream())
        self._rig = Rig(device, wiring, streams, marks, backend.words(len(wiring.signal_of)), clock, launches)
        self._ran: CudaRun | None = None
        self._allocations = device.allocations()

    def start(self) -> CudaRun:
        """Start the threads of lanes that have work; returns when all of them are up."""
        self._allocations = self._backend.device.allocations()
        self._ran = CudaRun(self._schedule, self._rig, self._tasks, self._cores)
        return self._ran

    def condition(self) -> dict[str, float]:
        """What the driver tells of the GPU; after a run also how well its clock was tied to the host's.

        `driver_allocations` counts what the run had to ask the driver for: 0, if all was warm.
        """
        found = self._backend.device.condition()
        if self._ran is not None:
            found |= {f"clock_{name}": float(value) for name, value in self._rig.clock.report().items()}
            found["driver_allocations"] = float(self._backend.device.allocations() - self._allocations)
        return found

    def close(self) -> None:
        """Remove the file behind reads; the host's memory stays with the backend, the GPU's with the allocator."""
        self._memory.close()
