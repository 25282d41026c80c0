"""The calibration of the CUDA backend."""

from __future__ import annotations

from contextlib import closing

import psutil
import torch

from calibrate.cpu_threads import CpuScaling
from calibrate.cuda_assemble import GRAPHS, PAIRS, Found, cuda_machine
from calibrate.cuda_bench import CudaBench
from calibrate.cuda_links import CudaLinkPlan
from calibrate.journal import Samples
from calibrate.kernels import Place, kernel_plan
from calibrate.overheads import overhead_units
from calibrate.sharing import sharing_units
from calibrate.site import Models, Site
from calibrate.software_queue import queue_unit
from calibrate.units import Unit
from hwexec.backend import ExecutionError
from hwexec.cores import available_cores, cores_beside_gpu
from hwexec.cuda import CudaBackend
from hwexec.device import Device
from hwexec.fingerprint import cache_bytes, fingerprint
from hwexec.numbers import TOLERANCE, expert_error
from hwexec.nvml import throttled
from hwexec.workspace import computed_in, dtype_of
from sim.machine import Machine, Memory
from sim.program import default_lanes

SHARES = {
    "links": 0.15,
    "kernels": 0.5,
    "cpu threads": 0.05,
    "overheads": 0.08,
    "graphs": 0.04,
    "queue": 0.02,
    "sharing": 0.16,
}
_CPU_CACHES = 4  # last-level caches that a buffer of the CPU's must have passed: other cores may have others
_HOST_SHARE = 0.8  # of the free host memory that counts as usable: what is pinned cannot be swapped


class CudaSite(Site):
    """One GPU, its link and the cores that compute experts beside it."""

    backend = "cuda"

    def __init__(self, models: Models, device: Device) -> None:
        super().__init__(models)
        self._device = device
        places = {
            "gpu": Place(device.gpu, device.free_bytes),
            "cpu": Place(
                torch.device("cpu"), lambda: int(psutil.virtual_memory().available), _CPU_CACHES * cache_bytes()
            ),
        }
        self._kernels = kernel_plan(models, places, dequantise=True)
        self.computer = fingerprint() | device.fingerprint()
        self._notes = {"numbers": self._check_numbers(), "gpu before": in_words(device.condition())}
        self._memory = self._usable_memory()
        cores = cores_beside_gpu((lane.name for lane in default_lanes()), available_cores())
        self._links = self.opened.enter_context(closing(CudaLinkPlan(models, device)))
        self._bench = self.opened.enter_context(CudaBench(device, cores))
        self._backend = self.opened.enter_context(closing(CudaBackend(device)))
        self._captured = self.opened.enter_context(closing(CudaBackend(device, graphs=True)))
        self._scaling = CpuScaling(self._kernels, self._bench)

    def units(self, budget_s: float) -> list[Unit]:
        """Copies, kernels, threads, overheads with and without graphs, lanes side by side."""
        model, precisions = self.models[0]
        share_s = {name: share * budget_s for name, share in SHARES.items()}
        return [
            *self._links.units(self._bench, share_s["links"]),
            *self._kernels.units(self._bench, share_s["kernels"]),
            *self._scaling.units(share_s["cpu threads"]),
            *overhead_units(self._backend, model, precisions, share_s["overheads"]),
            *overhead_units(self._captured, model, precisions, share_s["graphs"], GRAPHS),
            queue_unit(self._backend, model, precisions, share_s["queue"]),
            *sharing_units(self._backend, model, precisions, share_s["sharing"], PAIRS),
        ]

    def machine(self, samples: Samples) -> Machine:
        """The machine file of the CUDA backend."""
        after = in_words(self._device.condition())
        notes = self._notes | {"gpu after": after} | self._scaling.report(samples)
        found = Found(self.computer, self._memory, notes)
        return cuda_machine(samples, self._kernels, self._links, self.models[0], found)

    def _check_numbers(self) -> str:
        """Raise ExecutionError if an expert's output is wrong; how far it is from float64 otherwise."""
        said = []
        for model, precisions in self.models:
            computed = computed_in(precisions.experts)
            error = expert_error(model, precisions.experts, self._device.gpu)
            if error > TOLERANCE[dtype_of(computed)]:
                raise ExecutionError(
                    f"the GPU computes an expert of {model.name} wrongly: {error:.2g} off float64 in {computed}"
                )
            said.append(f"expert of {model.name} in {computed}: {error:.2g} off float64")
        return "; ".join(said)

    def _usable_memory(self) -> dict[str, Memory]:
        """What could really be allocated on the GPU, with libraries loaded, and what is free on the host."""
        host = psutil.virtual_memory()
        usable = self._device.usable_bytes()
        nominal = int(self.computer.get("gpu_memory_bytes", usable))
        return {
            "gpu0": Memory(nominal_bytes=nominal, usable_bytes=usable),
            "host": Memory(nominal_bytes=host.total, usable_bytes=round(_HOST_SHARE * host.available)),
        }


def in_words(condition: dict[str, float]) -> str:
    """A reading of the driver as one line."""
    shown = {
        "sm_mhz": "SM {:.0f} MHz",
        "memory_mhz": "memory {:.0f} MHz",
        "power_w": "{:.0f} W",
        "temperature_c": "{:.0f} °C",
        "pcie_generation": "PCIe {:.0f}.0",
        "pcie_width": "×{:.0f}",
    }
    parts = [text.format(condition[name]) for name, text in shown.items() if name in condition]
    slow = throttled(condition.get("throttle", 0.0))
    parts.append(f"throttled: {', '.join(slow)}" if slow else "not throttled" if "throttle" in condition else "")
    return ", ".join(part for part in parts if part) or "the driver tells nothing"
