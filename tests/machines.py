"""A tiny model and machines whose times are whole seconds, for schedules that can be worked by hand."""

from __future__ import annotations

from typing import Any

from sim.cost import CostModel
from sim.machine import Machine
from sim.model import Attention, MoEModel
from sim.precision import Precisions

BF16 = Precisions(experts="bf16", rest="bf16", kv="bf16")
EXPERT_BYTES = 400  # 2 matrices of 10 × 10 weights, 2 bytes each
HIDDEN_BYTES = 20  # the hidden state of one token
SOURCE = "made up"


def tiny_model(**changes: Any) -> MoEModel:
    """Two MoE blocks of four experts, top-2; every expert has 200 parameters."""
    shapes: dict[str, Any] = {
        "name": "tiny",
        "n_layers": 2,
        "hidden": 10,
        "vocab": 100,
        "attention": Attention("gqa", heads=1, kv_heads=1, head_dim=10),
        "n_experts": 4,
        "top_k": 2,
        "expert_hidden": 10,
        "matrices": 2,
    }
    shapes |= changes
    shapes.setdefault("moe_layers", tuple(range(shapes["n_layers"])))
    return MoEModel(**shapes)


def tiny_machine(**changes: Any) -> Machine:
    """Every kernel on the GPU takes 1 s, a token of an expert on the CPU 4 s, 40 bytes on a link 1 s, fewer no less.

    Dispatching and waiting cost nothing, and nothing is shared.
    """
    fields: dict[str, Any] = {
        "name": "toy",
        "origin": "datasheet",
        "memory": {name: {"nominal_bytes": 10**6, "usable_bytes": 10**6} for name in ("gpu0", "host")},
        "devices": {name: {} for name in ("gpu", "cpu", "link", "storage")},
        "lanes": {
            "gpu0": {"device": "gpu"},
            "cpu": {"device": "cpu"},
            "gpu0.h2d": {"device": "link"},
            "gpu0.d2h": {"device": "link"},
            "storage": {"device": "storage"},
        },
        "links": [link(direction) for direction in ("h2d", "d2h")],
        "rooflines": [roofline(kind) for kind in ("attention", "gate", "expert", "combine", "head")]
        + [roofline("expert", device="cpu", flop_per_s=100.0, fixed_s=0.0)],
        "stacks": {"plain": stack()},
    }
    return Machine.parse(fields | changes, "toy.json")


def link(direction: str, memory: str = "pinned", **changes: Any) -> dict[str, Any]:
    return {
        "direction": direction,
        "memory": memory,
        "curve": {"x": [40, 400], "seconds": [1, 10]},
        "source": SOURCE,
    } | changes


def roofline(kind: str, **changes: Any) -> dict[str, Any]:
    """A kernel of one second: its bytes and FLOP take less than the last bit of that."""
    return {
        "device": "gpu",
        "kind": kind,
        "bytes_per_s": 1e30,
        "flop_per_s": 1e30,
        "fixed_s": 1.0,
        "source": SOURCE,
    } | changes


def stack(**changes: Any) -> dict[str, Any]:
    return {"dispatch_s": {}, "sync_s": 0.0, "copies": "pinned", "source": SOURCE} | changes


def busy_machine(**changes: Any) -> Machine:
    """The same with a price on dispatching and waiting, CPU cores and a DRAM that CPU and copies share."""
    busy: dict[str, Any] = {
        "capacities": {"dram": 100.0, "cores": 2.0},
        "devices": {"gpu": {}, "cpu": {"traffic": {"dram": 1.0}}, "link": {}, "storage": {}},
        "lanes": {
            "gpu0": {"device": "gpu"},
            "cpu": {"device": "cpu", "uses": {"cores": 1.0}},
            "gpu0.h2d": {"device": "link"},
            "gpu0.d2h": {"device": "link"},
        },
        "links": [link(direction, traffic={"dram": 2.0}) for direction in ("h2d", "d2h")],
        "stacks": {"plain": stack(dispatch_s={"default": 0.125, "load": 0.25}, sync_s=0.0625)},
    }
    return tiny_machine(**busy | changes)


def slow_gpu() -> Machine:
    """Compute-bound: kernels on the GPU take ten expert loads, so that copies run as far ahead as they may."""
    on_gpu = [roofline(kind, fixed_s=100.0) for kind in ("attention", "gate", "expert", "combine", "head")]
    return tiny_machine(rooflines=[*on_gpu, roofline("expert", device="cpu")])


def tiny_costs(model: MoEModel | None = None, machine: Machine | None = None) -> CostModel:
    return CostModel(machine or tiny_machine(), model or tiny_model(), BF16)
