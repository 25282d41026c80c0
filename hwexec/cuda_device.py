"""The GPU itself, by way of torch: the first that CUDA_VISIBLE_DEVICES leaves."""

from __future__ import annotations

import threading
from contextlib import suppress
from time import perf_counter, sleep
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hwexec.backend import Task
from hwexec.cuda_driver import Driver
from hwexec.device import Device, Event, Stream
from hwexec.nvml import Nvml
from sim.errors import InputError

_torch_cuda: Any = torch.cuda  # whose types are not told
_BUSY_PERCENT = 10.0
_BLOCK_BYTES, _LEFT_BYTES = 256 << 20, 512 << 20
_PATIENCE_S = 1.0
_YARDSTICK_BYTES, _READINGS = 256 << 20, 3


def check_cuda() -> None:
    """Raise InputError, saying why, if torch cannot use a GPU here."""
    if torch.cuda.is_available():
        return
    why = (
        "this torch is built without CUDA" if torch.version.cuda is None else "torch finds no GPU, or no driver for it"
    )
    raise InputError(
        f"CUDA is not available: {why}",
        field="backend", value="cuda", remedy="run it on a machine with an NVIDIA GPU, or use --backend host",
    )  # fmt: skip


class TorchDevice(Device):
    """One GPU. Raises InputError if there is none, or if it is busy with somebody else's work."""

    def __init__(self) -> None:
        check_cuda()
        self.gpu = torch.device("cuda", 0)
        self._local = threading.local()
        self._driver = Driver()
        self._pool: Any = None
        self._yardstick: torch.Tensor | None = None
        mine = _torch_cuda.is_initialized()  # then the work may be this process's own
        try:
            self._properties: Any = torch.cuda.get_device_properties(0)
        except RuntimeError as error:
            raise InputError(f"the GPU cannot be used: {_line(error)}", field="backend", value="cuda") from error
        self._nvml = Nvml(str(getattr(self._properties, "uuid", "")))
        busy = 0.0 if mine else self._nvml.busy_percent()
        if busy > _BUSY_PERCENT:
            raise InputError(
                f"the GPU is {busy:.0f} % busy with other work",
                field="backend", value="cuda", remedy="wait for it to end, or choose another by CUDA_VISIBLE_DEVICES",
            )  # fmt: skip
        torch.backends.cuda.enable_cudnn_sdp(False)  # which plans anew for every length of a context
        self.signals = self._driver.found and self._signals_work()

    def new_stream(self) -> Stream:
        """A stream that does not synchronise with the default one."""
        stream: Stream = _torch_cuda.Stream(self.gpu)
        return stream

    def new_event(self) -> Event:
        """An event whose waiters spin."""
        event: Event = _torch_cuda.Event(enable_timing=True)
        return event

    def new_capture_event(self) -> Event:
        """The same, recorded anew whenever the graph that it was captured into runs."""
        try:
            event: Event = _torch_cuda.Event(enable_timing=True, external=True)
        except TypeError as error:
            raise InputError(
                "captured runs need events that a graph records", field="graphs", value=torch.__version__,
                remedy="update torch, or leave --graphs out",
            ) from error  # fmt: skip
        return event

    def run(self, stream: Any, task: Task) -> None:
        """Make the stream the calling thread's own, unless it is, and call the task."""
        if getattr(self._local, "stream", None) is not stream:
            torch.cuda.set_stream(stream)
            self._local.stream = stream
        task()

    def leave(self) -> None:
        """Bring the calling thread back to the default stream."""
        self._local.stream = None
        torch.cuda.set_stream(torch.cuda.default_stream(self.gpu))

    def wait_signal(self, stream: Any, signals: NDArray[np.uint32], number: int) -> None:
        """By the driver's memory operation; pinned memory has one address on both sides."""
        self._driver.wait_value(stream.cuda_stream, signals.ctypes.data + 4 * number, 1)

    def capture(self, stream: Any, tasks: list[Task]) -> Task:
        """One graph; graphs share a memory pool, for they run one after the other on one stream."""
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        stream.synchronize()
        self.run(stream, lambda: graph.capture_begin(pool=self._pool, capture_error_mode="thread_local"))
        try:
            for task in tasks:
                task()
        finally:
            graph.capture_end()
        return graph.replay

    def pin(self, memory: NDArray[np.uint8]) -> None:
        """Register the pages with the driver: torch's own pinned memory rounds up to powers of two."""
        code = int(_torch_cuda.cudart().cudaHostRegister(memory.ctypes.data, memory.nbytes, 0))
        if code != 0:
            self._forget_error()
            raise InputError(
                f"{memory.nbytes / 1e9:.3g} GB of pinned host memory were refused (CUDA error {code})",
                field="memory", remedy="free host memory, raise `ulimit -l`, or copy from pageable memory",
            )  # fmt: skip

    def unpin(self, memory: NDArray[np.uint8]) -> None:
        """Let go of the pages."""
        _torch_cuda.cudart().cudaHostUnregister(memory.ctypes.data)

    def free_bytes(self) -> int:
        """What the driver has, and what torch's allocator keeps unused."""
        free, _ = torch.cuda.mem_get_info(self.gpu)
        return int(free + torch.cuda.memory_reserved(self.gpu) - torch.cuda.memory_allocated(self.gpu))

    def usable_bytes(self) -> int:
        """Blocks until one is refused, a little left for the driver."""
        torch.cuda.empty_cache()
        blocks = []
        try:
            while torch.cuda.mem_get_info(self.gpu)[0] > _LEFT_BYTES + _BLOCK_BYTES:
                blocks.append(torch.empty(_BLOCK_BYTES, dtype=torch.uint8, device=self.gpu))
        except torch.OutOfMemoryError:
            pass
        usable = len(blocks) * _BLOCK_BYTES
        del blocks
        torch.cuda.empty_cache()
        return usable

    def allocations(self) -> int:
        """Segments that torch's allocator has asked the driver for."""
        return int(torch.cuda.memory_stats(self.gpu).get("segment.all.allocated", 0))

    def cache_bytes(self) -> int:
        """As the driver states it."""
        return int(getattr(self._properties, "L2_cache_size", 64 << 20))

    def synchronize(self) -> None:
        """Wait for all streams."""
        torch.cuda.synchronize(self.gpu)

    def fingerprint(self) -> dict[str, str]:
        """Name, memory, L2, multiprocessors, CUDA's version, and what the driver tells."""
        p = self._properties
        return {
            "gpu": p.name,
            "gpu_memory_bytes": str(p.total_memory),
            "gpu_l2_bytes": str(self.cache_bytes()),
            "gpu_multiprocessors": str(p.multi_processor_count),
            "compute_capability": f"{p.major}.{p.minor}",
            "cuda": str(torch.version.cuda),
            **self._nvml.fingerprint(),
        }

    def condition(self) -> dict[str, float]:
        """The driver's readings, and how fast the GPU writes its memory at this moment."""
        if self._yardstick is None:
            self._yardstick = torch.empty(_YARDSTICK_BYTES, dtype=torch.uint8, device=self.gpu)
        self._yardstick.zero_()
        seconds = []
        for _ in range(_READINGS):
            start, end = _torch_cuda.Event(enable_timing=True), _torch_cuda.Event(enable_timing=True)
            start.record()
            self._yardstick.zero_()
            end.record()
            end.synchronize()
            seconds.append(start.elapsed_time(end) / 1e3)
        return {"read_bytes_per_s": _YARDSTICK_BYTES / float(np.median(seconds)), **self._nvml.condition()}

    def _forget_error(self) -> None:
        """The driver's last error would be taken for the next kernel's."""
        with suppress(RuntimeError):
            torch.zeros(1, device=self.gpu)

    def _signals_work(self) -> bool:
        """Try it: a stream must hold until the word is set, and go on when it is."""
        memory = np.zeros(4096, np.uint8)
        try:
            self.pin(memory)
        except InputError:
            return False
        words, stream, event = memory.view(np.uint32), _torch_cuda.Stream(self.gpu), self.new_event()
        try:
            self.wait_signal(stream, words, 0)
            event.record(stream)
            sleep(0.002)
            held = not event.query()
            words[0] = 1
            return held and _soon(event)
        except RuntimeError:
            return False
        finally:
            words[0] = 1
            if event.query():  # otherwise the driver still looks at it
                self.unpin(memory)


def _soon(event: Event) -> bool:
    until = perf_counter() + _PATIENCE_S
    while not event.query():
        if perf_counter() > until:
            return False
        sleep(0.0005)
    return True


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
