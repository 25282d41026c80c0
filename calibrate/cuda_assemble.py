"""From the samples of a calibration on a GPU to a Machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calibrate.assemble import DEVICE_OF, measured_points, stack_of
from calibrate.condition import condition_of, untagged
from calibrate.cuda_links import CudaLinkPlan, both_point, copy_point
from calibrate.journal import Samples
from calibrate.kernels import KernelPlan
from calibrate.rooflines import fit_rooflines
from calibrate.sharing import Shared, fit_capacity, slowdowns, together
from calibrate.software_queue import GAP
from calibrate.tables import kernel_table, trust
from hwexec.workspace import DTYPES, computed_in
from sim.machine import Device, LaneProfile, Machine, Memory, Stack
from sim.model import MoEModel
from sim.precision import Precisions
from sim.program import default_lanes
from sim.work import work

PAIRS = (("copy", "cpu"), ("down", "cpu"), ("copy", "down"), ("copy", "gpu"), ("gpu", "cpu"))
_OF_DRAM = PAIRS[:2]
GRAPHS = "graphs: "


@dataclass(frozen=True)
class Found:
    """What is known beside the samples: `notes` are sources in words, by subject."""

    computer: dict[str, str]
    memory: dict[str, Memory]
    notes: Mapping[str, str]


def cuda_machine(
    samples: Samples, kernels: KernelPlan, links: CudaLinkPlan, first: tuple[MoEModel, Precisions], found: Found
) -> Machine:
    """The machine file of the CUDA backend; `first` is the model that the probes ran with."""
    condition, samples = condition_of(samples), untagged(samples)
    computer = found.computer
    source = f"measured by moesim calibrate, CUDA backend, {computer['date']}"
    tables = [kernel_table(series, samples, source + _dequantised(series.precision)) for series in kernels.series]
    copies = links.tables(samples, source)
    dram, link = _dram(samples, first), _link(samples, links)
    quality = trust([table.curve for table in tables] + [table.curve for table in copies])
    return Machine(
        name=f"{computer['gpu']}, {computer['cpu']}, {computer['cores']} cores",
        origin="measured",
        description="Streams of one GPU, copies from pinned and pageable memory, experts on the CPU's threads.",
        fingerprint=computer | {"read_bytes_per_s": f"{condition.bytes_per_s:.4g}"},
        memory=found.memory,
        devices={"gpu": Device(), "cpu": Device(traffic={"dram": 1.0}), "link": Device(), "storage": Device()},
        lanes={lane.name: LaneProfile(device=DEVICE_OF[lane.name]) for lane in default_lanes()},
        capacities={"dram": dram.bytes_per_s, "link": link.bytes_per_s},
        capacity_spread={"dram": {"dram shared": dram.spread}, "link": {"link shared": link.spread}},
        drift={"gpu": condition.spread},
        links=tuple(copies),
        kernels=tuple(tables),
        rooflines=tuple(fit_rooflines(measured_points(kernels, samples), source)),
        stacks=_stacks(samples, source),
        sources={
            "interpolation": str(quality),
            "condition": f"the GPU wrote its memory at {condition.bytes_per_s * 1e-9:.0f} GB/s, "
            f"IQR/median {condition.spread:.0%}",
            "dram": _in_words(dram),
            "link": _in_words(link),
            "beside each other": "; ".join(f"{name}: × {s:.2f}" for name, s in slowdowns(samples, PAIRS).items()),
            **links.report(samples),
            **found.notes,
        },
    )


def _dequantised(precision: str) -> str:
    return "" if precision in DTYPES else f"; computed in {computed_in(precision)} on weights dequantised beforehand"


def _dram(samples: Samples, first: tuple[MoEModel, Precisions]) -> Shared:
    """Host memory, which the CPU's experts and both directions of copies share."""
    model, precisions = first
    stored = Precisions(computed_in(precisions.experts), precisions.rest, precisions.kv)
    need = work(model, "expert", model.moe_layers[0], expert=0, tokens=1, precisions=stored).read_bytes
    copied = float(model.expert_bytes(precisions.experts))
    return fit_capacity(samples, {"cpu": need, "copy": copied, "down": copied}, _OF_DRAM)


def _link(samples: Samples, links: CudaLinkPlan) -> Shared:
    """The link to the GPU, which both directions may share: its largest copies, each way alone and both at once."""
    size = links.both_sizes[-1]
    renamed = {
        together("copy", ()): samples[copy_point("pinned", "h2d", size)],
        together("down", ()): samples[copy_point("pinned", "d2h", size)],
        together("copy", ("down",)): samples.get(both_point("h2d", size), []),
        together("down", ("copy",)): samples.get(both_point("d2h", size), []),
    }
    moved = float(size)
    return fit_capacity(renamed, {"copy": moved, "down": moved}, (("copy", "down"),))


def _in_words(shared: Shared) -> str:
    found = "; ".join(f"{name}: × {a:.2f} measured, × {b:.2f} explained" for name, (a, b) in shared.slowdowns.items())
    return found or "no pair of lanes was measured side by side"


def _stacks(samples: Samples, source: str) -> dict[str, Stack]:
    """The executor's own, the same with captured graphs, and with pageable copies, whose overheads are assumed."""
    stacks = {"ours": stack_of(samples, source)}
    if any(name.startswith(GRAPHS) for name in samples):
        captured = {name: seconds for name, seconds in samples.items() if name.startswith(GRAPHS)}
        captured[GRAPHS + GAP] = samples.get(GAP, [])
        stacks["ours-graphs"] = stack_of(captured, f"{source}; runs of ops captured as graphs", prefix=GRAPHS)
    assumed = f"{source}; overheads as with pinned copies"
    return stacks | {"ours-pageable": stack_of(samples, assumed, "pageable")}
