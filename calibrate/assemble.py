"""From the samples of a whole calibration to a Machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import numpy as np
import psutil

from calibrate.condition import condition_of, untagged
from calibrate.journal import Samples
from calibrate.kernels import KernelPlan
from calibrate.links import LinkPlan
from calibrate.rooflines import Measured, fit_rooflines
from calibrate.sampling import Figure
from calibrate.sharing import COPY_PASSES, Shared, fit_shared
from calibrate.software_queue import GAP
from calibrate.tables import kernel_table, link_tables, trust
from sim.machine import Device, LaneProfile, Machine, Memory, Stack
from sim.model import MoEModel
from sim.origins import DRIFT
from sim.precision import Precisions
from sim.work import work

_GPU_PART = 4  # of the computer's memory, one part
DEVICE_OF = {
    "host": "cpu", "gpu0": "gpu", "gpu0.h2d": "link", "gpu0.d2h": "link", "cpu": "cpu", "worker": "cpu",
    "storage": "storage",
}  # fmt: skip


def host_machine(
    samples: Samples, kernels: KernelPlan, links: LinkPlan, first: tuple[MoEModel, Precisions],
    cores: Mapping[str, int], fingerprint: dict[str, str], memory: dict[str, Memory],
) -> Machine:  # fmt: skip
    """The machine file of the host backend; `first` is the model that the probes ran with."""
    condition, samples = condition_of(samples), untagged(samples)
    source = f"measured by moesim calibrate, host backend, {fingerprint['date']}"
    tables = [kernel_table(series, samples, source) for series in kernels.series]
    copies = link_tables(links, samples, source)
    shared = _shared(samples, first, cores)
    quality = trust([table.curve for table in tables] + [link.curve for link in copies])
    return Machine(
        name=f"{fingerprint['cpu']}, {fingerprint['cores']} cores, host backend",
        origin="measured",
        description="Threads on CPU cores stand in for the GPU and its copy engines; copies are memory copies.",
        fingerprint=fingerprint | {"read_bytes_per_s": f"{condition.bytes_per_s:.4g}"},
        memory=memory,
        devices={
            "gpu": Device(traffic={"dram": 1.0}), "cpu": Device(traffic={"dram": 1.0}), "link": Device(),
            "storage": Device(),
        },
        lanes=_lanes(cores),
        capacities={"dram": shared.bytes_per_s} | dict.fromkeys(_shared_cores(cores), 1.0),
        capacity_spread={"dram": {"dram shared": shared.spread, DRIFT: condition.spread}},
        drift=dict.fromkeys(("gpu", "cpu", "link"), condition.spread),
        links=tuple(copies),
        kernels=tuple(tables),
        rooflines=tuple(fit_rooflines(measured_points(kernels, samples), source)),
        stacks={"ours": stack_of(samples, source)},
        sources={
            "interpolation": str(quality),
            "condition": str(condition),
            "pinned and pageable": "the same memory on this backend, measured once",
            "dram": "; ".join(f"{name}: × {a:.2f} measured, × {b:.2f} explained"
                              for name, (a, b) in shared.slowdowns.items()) or "no pair of lanes on different cores",
            "cores": "; ".join(f"{lane}: core {core}" for lane, core in cores.items()),
        },
    )  # fmt: skip


def _shared(samples: Samples, first: tuple[MoEModel, Precisions], cores: Mapping[str, int]) -> Shared:
    model, precisions = first
    need = work(model, "expert", model.moe_layers[0], expert=0, tokens=1, precisions=precisions).read_bytes
    copied = COPY_PASSES * model.expert_bytes(precisions.experts)
    return fit_shared(samples, {"gpu": need, "cpu": need, "copy": copied}, cores)


def usable_memory() -> dict[str, Memory]:
    """One memory stands for two, the GPU's the smaller, as on machines that offload; what is free of each is usable."""
    memory = psutil.virtual_memory()
    gpu = Memory(nominal_bytes=memory.total // _GPU_PART, usable_bytes=memory.available // _GPU_PART)
    host = Memory(nominal_bytes=memory.total - gpu.nominal_bytes, usable_bytes=memory.available - gpu.usable_bytes)
    return {"gpu0": gpu, "host": host}


def _shared_cores(cores: Mapping[str, int]) -> list[str]:
    lanes_on = Counter(cores.values())
    return [f"core{core}" for core in sorted(lanes_on) if lanes_on[core] > 1]


def _lanes(cores: Mapping[str, int]) -> dict[str, LaneProfile]:
    """A lane that has a core to itself shares no core."""
    shared = _shared_cores(cores)
    return {
        lane: LaneProfile(device=DEVICE_OF[lane], uses={f"core{core}": 1.0} if f"core{core}" in shared else {})
        for lane, core in cores.items()
    }


def measured_points(kernels: KernelPlan, samples: Samples) -> list[Measured]:
    """Every kernel point that has samples, with the work behind it."""
    points = []
    for series, rig in kernels.rigs:
        for tokens in series.tokens:
            seconds = samples.get(series.point(tokens))
            if not seconds:
                continue
            name, size = series.kind.name.lower(), series.size(tokens)
            need = work(
                rig.model, name, size.layer, expert=size.expert, tokens=size.tokens, context=size.context,
                sequences=size.sequences, precisions=rig.precisions,
            )  # fmt: skip
            points.append(
                Measured(series.device, name, series.precision, need.read_bytes, need.flop, Figure.of(seconds).seconds)
            )
    return points


def stack_of(
    samples: Samples, source: str, copies: Literal["pinned", "pageable"] = "pinned", prefix: str = ""
) -> Stack:
    """Medians of what the executor's own host loop, waits and lanes took; of the samples whose names begin so.

    A spread is that of the samples of one op, in the median over its kinds, though most of it evens out over a run.
    """
    samples = {name.removeprefix(prefix): seconds for name, seconds in samples.items() if name.startswith(prefix)}

    def median_of(prefix: str) -> dict[str, float]:
        return {
            name.removeprefix(prefix): float(np.median(seconds))
            for name, seconds in sorted(samples.items())
            if name.startswith(prefix)
        }

    def spread_of(prefix: str) -> float:
        of = [Figure.of(seconds).spread for name, seconds in samples.items() if name.startswith(prefix)]
        return float(np.median(of)) if of else 0.0

    dispatch = median_of("dispatch ")
    return Stack(
        dispatch_s=dispatch | {"default": float(np.median(list(dispatch.values())))},
        sync_s=float(np.median(samples["sync"])),
        handoff_s=median_of("handoff "),
        queue_s=float(np.median(samples[GAP])) if samples.get(GAP) else 0.0,
        copies=copies,
        spread={"dispatch": spread_of("dispatch "), "sync": spread_of("sync"), "handoff": spread_of("handoff ")},
        source=source,
    )
