"""Copy seconds by size between a GPU and its host: pinned and pageable, alone, both ways at once, several in flight."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from statistics import median

import torch

from calibrate.cuda_bench import CudaBench
from calibrate.journal import Samples
from calibrate.links import copy_sizes
from calibrate.site import Models
from calibrate.tables import curve
from calibrate.units import Unit
from hwexec.backend import Task
from hwexec.device import Device, Event
from hwexec.fingerprint import cache_bytes
from hwexec.memory import StoredFile
from hwexec.pinned import PinnedSpace
from hwexec.tasks import enqueue_copy
from hwexec.workspace import random_tensor
from sim.machine import Link

LANES = {"h2d": "gpu0.h2d", "d2h": "gpu0.d2h"}
MEMORIES = ("pinned", "pageable")
PASSES_OF_DRAM = {"pinned": 1.0, "pageable": 3.0}  # pageable: read, written to the driver's buffer, read from there
IN_FLIGHT = (1, 2, 4, 8)
BOTH_WAYS_FROM = 1 << 18  # bytes: smaller copies are all launch
_ROUNDS = 3
_ARENA_BYTES = 1 << 30
_GPU_SETS = 3
_BOTH_SHARE, _FLIGHT_SHARE = 0.15, 0.1


def copy_point(memory: str, direction: str, size_bytes: int) -> str:
    """Name of the samples of copies of one size, alone."""
    return f"{memory} {direction} {size_bytes} bytes"


def both_point(direction: str, size_bytes: int) -> str:
    """Name of the samples of one direction while the other is at work too."""
    return f"pinned {direction} {size_bytes} bytes, both ways"


def flight_point(direction: str, size_bytes: int, number: int) -> str:
    """Name of the samples of a copy's share of so many given to the stream at once."""
    return f"pinned {direction} {size_bytes} bytes, {number} in flight"


class CudaLinkPlan:
    """Copies between buffers that take turns in an arena larger than the processor's caches."""

    def __init__(self, models: Models, device: Device) -> None:
        self._device = device
        self.sizes = copy_sizes(models)
        self.expert_bytes = max(model.expert_bytes(precisions.experts) for model, precisions in models)
        self._spaces = {memory: PinnedSpace(device, pin=memory == "pinned") for memory in MEMORIES}
        self._host: dict[str, torch.Tensor] = {}
        self._gpu: list[torch.Tensor] = []
        self._turn = 0
        self._stored: StoredFile | None = None

    @property
    def both_sizes(self) -> list[int]:
        """Sizes copied both ways at once."""
        return [size for size in self.sizes if size >= BOTH_WAYS_FROM] or self.sizes[-1:]

    def units(self, bench: CudaBench, budget_s: float) -> list[Unit]:
        """Every kind of copy in rounds, then reads from storage."""
        alone = [(memory, way, size) for memory in MEMORIES for way in LANES for size in self.sizes]
        alone_s = (1 - _BOTH_SHARE - _FLIGHT_SHARE) * budget_s / (_ROUNDS * (len(alone) + 1))
        both_s = _BOTH_SHARE * budget_s / (_ROUNDS * len(self.both_sizes))
        flight_s = _FLIGHT_SHARE * budget_s / (_ROUNDS * len(LANES) * len(IN_FLIGHT))
        units = []
        for turn in range(_ROUNDS):
            for point in alone:
                measure = partial(self._alone, bench, *point)
                units.append(Unit(f"{copy_point(*point)} round {turn}", alone_s, measure, turn > 0))
            for size in self.both_sizes:
                measure = partial(self._both, bench, size)
                units.append(Unit(f"both ways {size} round {turn}", both_s, measure, turn > 0))
            for way in LANES:
                for number in IN_FLIGHT:
                    name = f"{flight_point(way, self.expert_bytes, number)} round {turn}"
                    units.append(Unit(name, flight_s, partial(self._in_flight, bench, way, number), turn > 0))
        return [*units, Unit("reads from storage", alone_s * _ROUNDS, partial(self._reads, bench))]

    def tables(self, samples: Samples, source: str) -> list[Link]:
        """A table for each direction and memory, and one for storage."""
        tables = []
        for memory in MEMORIES:
            for way in LANES:
                points = [(size, copy_point(memory, way, size)) for size in self.sizes]
                traffic = {"dram": PASSES_OF_DRAM[memory]} | ({"link": 1.0} if memory == "pinned" else {})
                tables.append(
                    Link(direction=way, memory=memory, curve=curve(points, samples), traffic=traffic, source=source)  # type: ignore[arg-type]
                )
        reads = curve([(size, copy_point("storage", "read", size)) for size in self.sizes], samples)
        return [*tables, Link(direction="read", memory="storage", curve=reads, traffic={"dram": 1.0}, source=source)]

    def report(self, samples: Samples) -> dict[str, str]:
        """What more copies at a time change, in words."""
        size = self.expert_bytes
        parts = []
        for way in LANES:
            rates = [
                f"{number}: {size / median(samples[name]) / 1e9:.1f}"
                for number in IN_FLIGHT
                if samples.get(name := flight_point(way, size, number))
            ]
            parts.append(f"{way} {', '.join(rates)} GB/s")
        return {"copies in flight": f"{size} bytes each; " + "; ".join(parts)}

    def close(self) -> None:
        """Give the memory back."""
        self._host, self._gpu = {}, []
        for space in self._spaces.values():
            space.close()
        if self._stored is not None:
            self._stored.close()

    def _alone(self, bench: CudaBench, memory: str, way: str, size_bytes: int, budget_s: float, _: Samples) -> Samples:
        tasks = self._copies(memory, way, size_bytes)
        timed = bench.time if memory == "pinned" else bench.held
        return timed(copy_point(memory, way, size_bytes), LANES[way], tasks, budget_s)

    def _both(self, bench: CudaBench, size_bytes: int, budget_s: float, known: Samples) -> Samples:
        """As many copies each way as fit; those count that ran while the other direction was at work."""
        alone = known.get(copy_point("pinned", "h2d", size_bytes))
        n = int(min(64, max(8, budget_s / (2 * median(alone))))) if alone else 8
        samples: Samples = {both_point(way, size_bytes): [] for way in LANES}
        marks = {way: [self._device.new_event() for _ in range(n + 1)] for way in LANES}
        tasks = {way: self._copies("pinned", way, size_bytes) for way in LANES}
        for i in range(n + 1):
            for way, lane in LANES.items():
                if i:
                    self._device.run(bench.stream(lane), tasks[way][i % len(tasks[way])])
                marks[way][i].record(bench.stream(lane))
        self._device.synchronize()
        for way, other in (("h2d", "d2h"), ("d2h", "h2d")):
            for begin, end in overlapping(marks[way], marks[other]):
                samples[both_point(way, size_bytes)].append(begin.elapsed_time(end) / 1e3)
        return {name: seconds for name, seconds in samples.items() if seconds}

    def _in_flight(self, bench: CudaBench, way: str, number: int, budget_s: float, _: Samples) -> Samples:
        copies = self._copies("pinned", way, self.expert_bytes)

        several = [partial(_all, [copies[(i + k) % len(copies)] for k in range(number)]) for i in range(3)]
        name = flight_point(way, self.expert_bytes, number)
        found = bench.time(name, LANES[way], several, budget_s)
        return {name: [seconds / number for seconds in found[name]]}

    def _reads(self, bench: CudaBench, budget_s: float, _: Samples) -> Samples:
        if self._stored is None:
            self._stored = StoredFile(self.sizes[-1], seed=0)
        found: Samples = {}
        for size in self.sizes[-3:]:
            tasks = [partial(self._stored.read_into, self._slice("pageable", size)) for _ in range(3)]
            found |= bench.time(copy_point("storage", "read", size), "storage", tasks, budget_s / 3)
        return found

    def _copies(self, memory: str, way: str, size_bytes: int) -> list[Task]:
        """Distinct host buffers until the caches are passed, in turn with a few of the GPU's."""
        n = max(3, min(64, 4 * cache_bytes() // size_bytes + 1))
        tasks = []
        for i in range(n):
            gpu, host = self._on_gpu()[i % _GPU_SETS][:size_bytes], self._slice(memory, size_bytes)
            tasks.append(enqueue_copy(gpu, host) if way == "h2d" else enqueue_copy(host, gpu))
        return tasks

    def _slice(self, memory: str, size_bytes: int) -> torch.Tensor:
        """The next part of the arena."""
        if memory not in self._host:
            size = max(_ARENA_BYTES, 2 * self.sizes[-1])
            self._spaces[memory].reserve(size, torch.uint8)
            self._host[memory] = self._spaces[memory].take(size, torch.uint8, seed=0)
        arena = self._host[memory]
        step = -(-size_bytes // 4096) * 4096
        self._turn = (self._turn + step) % max(1, len(arena) - step)
        begin = self._turn // 4096 * 4096
        return arena[begin : begin + size_bytes]

    def _on_gpu(self) -> list[torch.Tensor]:
        if not self._gpu:
            self._gpu = [random_tensor(self.sizes[-1], torch.uint8, self._device.gpu, i) for i in range(_GPU_SETS)]
        return self._gpu


def _all(tasks: list[Task]) -> None:
    for task in tasks:
        task()


def overlapping(mine: list[Event], others: list[Event]) -> list[tuple[Event, Event]]:
    """The intervals between my events that lie wholly within the others' span, the first left out."""
    return [
        (begin, end)
        for begin, end in list(pairwise(mine))[1:]
        if others[0].elapsed_time(begin) >= 0 and end.elapsed_time(others[-1]) >= 0
    ]
