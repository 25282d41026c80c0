"""From datasheets to a Machine: nominal figures times the achieved shares, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import Literal, get_args

from scenarios.datasheet import GIB, Datasheet, Rate
from scenarios.efficiency import Copy, Efficiency, efficiency
from scenarios.stacks import stacks
from sim.machine import Curve, Device, LaneProfile, Link, Machine, Memory, Power, Roofline
from sim.memory import GPU_MEMORY, HOST_MEMORY
from sim.program import CPU, D2H, GPU, H2D, HOST_LANE, STORAGE, WORKER

Processor = Literal["gpu", "cpu"]
_DEVICE_OF = {HOST_LANE: "cpu", GPU: "gpu", H2D: "link", D2H: "link", CPU: "cpu", WORKER: "cpu", STORAGE: "storage"}
_LARGE_COPIES = (1 << 26, 1 << 32)  # bytes; beyond the smallest copies time is a fixed cost plus size over rate
_DRAM = "dram"
_QUANTISED = None  # the roofline of formats that are unpacked to 16 bits


@dataclass(frozen=True)
class Achieved:
    """What one datasheet really delivers, in bytes and FLOP a second."""

    sheet: Datasheet
    of: Efficiency

    @property
    def gpu_bytes_per_s(self) -> float:
        """GPU memory, as kernels stream weights."""
        return self.sheet.gpu.memory_gb_per_s * 1e9 * self.of.gpu_memory.value

    @property
    def dram_read_bytes_per_s(self) -> float:
        """Host memory, as CPU kernels alone stream weights."""
        measured = self.sheet.measured and self.sheet.measured.dram_read_gb_per_s
        return (
            measured * 1e9
            if measured
            else self.sheet.dram.bytes_per_s * self.of.dram_read[self.sheet.dram.platform].value
        )

    @property
    def dram_bytes_per_s(self) -> float:
        """Host memory, all its users together."""
        return min(self.dram_read_bytes_per_s * self.of.dram_shared.value, self.sheet.dram.bytes_per_s)

    @property
    def dram_read_spread(self) -> float:
        """How far off that may be."""
        measured = self.sheet.measured and self.sheet.measured.dram_read_gb_per_s
        return self.of.on_this_machine.value if measured else self.of.dram_read[self.sheet.dram.platform].spread

    def copy_spread(self, memory: Copy) -> float:
        """How far off the rate of large copies may be; a share of another share errs with that too."""
        measured, here = self.sheet.measured, self.of.on_this_machine.value
        pinned = (
            here if measured and measured.pinned_gb_per_s else self.of.pcie_pinned[self.sheet.link.generation].spread
        )
        if memory == "pinned":
            return pinned
        return here if measured and measured.pageable_gb_per_s else hypot(pinned, self.of.pageable_of_pinned.spread)

    def flop_spread(self, device: Processor, precision: str | None) -> float:
        """How far off the rate in a precision may be."""
        if device == "gpu":
            return self.of.gpu_flop.spread
        on_tiles = precision == "bf16" and "bf16" in self.sheet.cpu.tile_flop_per_cycle
        return (self.of.cpu_tile_flop if on_tiles else self.of.cpu_vector_flop).spread

    def copy_bytes_per_s(self, memory: Copy) -> float:
        """Large copies over PCIe from or to such host memory."""
        link, measured = self.sheet.link, self.sheet.measured
        pinned = measured and measured.pinned_gb_per_s
        rate = pinned * 1e9 if pinned else link.bytes_per_s * self.of.pcie_pinned[link.generation].value
        if memory == "pageable":
            pageable = measured and measured.pageable_gb_per_s
            rate = pageable * 1e9 if pageable else rate * self.of.pageable_of_pinned.value
        return min(rate, self.dram_bytes_per_s)

    def copy_passes(self, memory: Copy) -> float:
        """Times that a byte copied passes host memory; no copy draws more than there is."""
        return min(self.of.dram_passes[memory], self.dram_bytes_per_s / self.copy_bytes_per_s(memory))

    def gpu_flop_per_s(self, precision: str | None) -> float:
        """The rate in a precision; 16 bits for what is unpacked to them, fp32 for bf16 where the GPU has none."""
        rates: dict[str | None, float] = dict(self.sheet.gpu.dense_tflops.items())
        fallback = rates["fp32"] if precision == "bf16" else rates.get("bf16", rates["fp16"])
        return rates.get(precision, fallback) * 1e12 * self.of.gpu_flop.value

    def cpu_flop_per_s(self, precision: str | None) -> float:
        """fp32 on the vector units, or bf16 on what the cores have for it; all other formats are unpacked to fp32."""
        cpu = self.sheet.cpu
        cycles_per_s = cpu.cores * cpu.base_ghz * 1e9
        rates = [cpu.vector_flop_per_cycle["fp32"] * self.of.cpu_vector_flop.value]
        if precision == "bf16":
            rates.append(cpu.vector_flop_per_cycle.get("bf16", 0.0) * self.of.cpu_vector_flop.value)
            rates.append(cpu.tile_flop_per_cycle.get("bf16", 0.0) * self.of.cpu_tile_flop.value)
        return cycles_per_s * max(rates)


def machine_of(sheet: Datasheet) -> Machine:
    """Return the machine that a datasheet describes."""
    figures = efficiency()
    achieved = Achieved(sheet, figures)
    return Machine(
        name=sheet.name,
        origin="datasheet",
        description=sheet.description,
        fingerprint=_fingerprint(sheet),
        memory=_memory(sheet, figures),
        devices={
            "gpu": Device(),
            "cpu": Device(traffic={_DRAM: figures.dram_passes["cpu"]}),
            "link": Device(),
            "storage": Device(),
        },
        lanes={lane: LaneProfile(device=device) for lane, device in _DEVICE_OF.items()},
        capacities={_DRAM: achieved.dram_bytes_per_s},
        capacity_spread={_DRAM: {"cpu bytes": achieved.dram_read_spread, "dram shared": figures.dram_shared.spread}},
        links=(*_pcie_links(achieved), _storage_link(achieved)),
        rooflines=(*_rooflines(achieved, "gpu"), *_rooflines(achieved, "cpu")),
        stacks=stacks(),
        power=_power(sheet),
        sources=_sources(sheet, figures),
    )


def _memory(sheet: Datasheet, of: Efficiency) -> dict[str, Memory]:
    ecc = of.gpu_ecc_size.value if sheet.gpu.ecc_in_memory else 1.0
    gpu = sheet.gpu.memory_gib * ecc * of.gpu_memory_size.value - of.gpu_context_gib.value
    host = sheet.dram.memory_gib * of.host_memory_size.value
    return {
        GPU_MEMORY: Memory(nominal_bytes=round(sheet.gpu.memory_gib * GIB), usable_bytes=max(0, int(gpu * GIB))),
        HOST_MEMORY: Memory(nominal_bytes=round(sheet.dram.memory_gib * GIB), usable_bytes=int(host * GIB)),
    }


def _pcie_links(achieved: Achieved) -> list[Link]:
    overheads = achieved.of.copy_overheads()
    points = [*overheads, *((size, overheads[-1][1]) for size in _LARGE_COPIES)]
    links = []
    for memory in get_args(Copy):
        rate = achieved.copy_bytes_per_s(memory)
        seconds = tuple(over + x / rate for x, over in points)
        spread = tuple(
            (over * achieved.of.small_copies.spread.value + x / rate * achieved.copy_spread(memory)) / s
            for (x, over), s in zip(points, seconds, strict=True)
        )
        curve = Curve(x=tuple(float(x) for x, _ in points), seconds=seconds, spread=spread)
        traffic = {_DRAM: achieved.copy_passes(memory)}
        source = f"{rate / 1e9:.4g} GB/s from datasheet and efficiency figures, fixed costs from a public size table"
        for direction in ("h2d", "d2h"):
            links.append(Link(direction=direction, memory=memory, curve=curve, traffic=traffic, source=source))
    return links


def _storage_link(achieved: Achieved) -> Link:
    drive, passes = achieved.sheet.storage, achieved.of.dram_passes["storage"]
    rate = min(drive.read_gb_per_s * 1e9, achieved.dram_bytes_per_s / passes)
    sizes = [float(size) for size, _ in achieved.of.copy_overheads()] + [float(size) for size in _LARGE_COPIES]
    curve = Curve(
        x=tuple(sizes),
        seconds=tuple(drive.latency_us * 1e-6 + size / rate for size in sizes),
        spread=(achieved.of.storage_read.value,) * len(sizes),
    )
    return Link(direction="read", memory="storage", curve=curve, traffic={_DRAM: passes}, source=drive.source)


def _rooflines(achieved: Achieved, device: Processor) -> list[Roofline]:
    """One line for each kind, and one more for each precision that computes at another rate."""
    on_gpu = device == "gpu"
    bytes_per_s = achieved.gpu_bytes_per_s if on_gpu else achieved.dram_read_bytes_per_s
    flop_per_s = achieved.gpu_flop_per_s if on_gpu else achieved.cpu_flop_per_s
    bytes_spread = achieved.of.gpu_memory.spread if on_gpu else achieved.dram_read_spread
    kernel = achieved.of.gpu_kernel_us if on_gpu else achieved.of.cpu_kernel_us
    rates = {precision: flop_per_s(precision) for precision in (_QUANTISED, *get_args(Rate))}
    return [
        Roofline(
            device=device,
            kind=kind,
            precision=precision,
            bytes_per_s=bytes_per_s,
            flop_per_s=rate,
            fixed_s=kernels * kernel.value * 1e-6,
            spread=bytes_spread,
            flop_spread=achieved.flop_spread(device, precision),
            fixed_spread=kernel.spread.value if kernel.spread else None,
            source="datasheet × efficiency figures (see sources)",
        )
        for kind, kernels in achieved.of.kernels.items()
        for precision, rate in rates.items()
        if precision is _QUANTISED or rate != rates[_QUANTISED]
    ]


def _power(sheet: Datasheet) -> dict[Literal["gpu", "cpu"], Power]:
    """Rated power while busy. Makers state none for a device that idles."""
    rated: dict[Literal["gpu", "cpu"], float | None] = {"gpu": sheet.gpu.power_w, "cpu": sheet.cpu.power_w}
    return {device: Power(busy_w=watts) for device, watts in rated.items() if watts is not None}


def _fingerprint(sheet: Datasheet) -> dict[str, str]:
    gpu, cpu, dram, link = sheet.gpu, sheet.cpu, sheet.dram, sheet.link
    return {
        "gpu": f"{gpu.model}, {gpu.memory_gib:g} GiB at {gpu.memory_gb_per_s:g} GB/s, L2 {gpu.l2_mib:g} MiB",
        "cpu": f"{cpu.model}, {cpu.cores} cores at {cpu.base_ghz:g} GHz",
        "dram": f"{dram.channels} × {dram.type}-{dram.mt_per_s:g} ({dram.bytes_per_s / 1e9:.4g} GB/s), "
        f"{dram.memory_gib:g} GiB",
        "pcie": f"{link.generation}.0 ×{link.lanes} ({link.bytes_per_s / 1e9:.4g} GB/s)",
        "storage": sheet.storage.model,
    }


def _sources(sheet: Datasheet, of: Efficiency) -> dict[str, str]:
    parts = {
        "gpu": sheet.gpu,
        "cpu": sheet.cpu,
        "dram": sheet.dram,
        "storage": sheet.storage,
        "measured": sheet.measured,
    }
    facts = {name: part.source for name, part in parts.items() if part is not None}
    return facts | {f"efficiency.{name}": str(figure) for name, figure in of.named().items()}
