"""A model, a machine and a scenario small enough to run in milliseconds, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from sim.machine import Curve, Device, LaneProfile, Link, Machine, Memory, Roofline, Stack

MODEL = """\
name: tiny
source: made up
n_layers: 3
hidden: 64
vocab: 100
attention: {kind: gqa, heads: 2, kv_heads: 1, head_dim: 32}
moe_layers: [1, 2]
dense_hidden: 128
n_experts: 4
top_k: 2
expert_hidden: 128
"""  # 8 experts of 24,576 parameters; 98,304 bytes each in fp32

SCENARIO = """\
title: tiny question
model: tiny.yaml
precision: fp32
machine: machine.json
workload: {prompt: 6, output: 4}
cache: 4
predictor: {recall: 0.5}
strategies:
  - all-resident
  - {label: stream, name: layer-streaming}
  - on-demand
  - {label: lru, name: cache}
  - {label: prefetch, name: cache, prefetch: true, priority: true}
  - {label: cheaper, name: cache, miss: cheaper}
  - fiddler
  - oracle
"""

KINDS: tuple[Literal["attention", "gate", "expert", "combine", "head"], ...] = (
    "attention", "gate", "expert", "combine", "head"
)  # fmt: skip


def machine(*, gpu_bytes: int = 10**7, host_bytes: int = 10**8) -> Machine:
    """A slow link, a slow CPU and a GPU that is ten times as fast."""
    rates = {"gpu": 1e10, "cpu": 1e9}
    return Machine(
        name="toy",
        origin="datasheet",
        memory={
            "gpu0": Memory(nominal_bytes=gpu_bytes, usable_bytes=gpu_bytes),
            "host": Memory(nominal_bytes=host_bytes, usable_bytes=host_bytes),
        },
        devices={"gpu": Device(), "cpu": Device(traffic={"dram": 1.0}), "link": Device()},
        lanes={
            "gpu0": LaneProfile(device="gpu"),
            "gpu0.h2d": LaneProfile(device="link"),
            "gpu0.d2h": LaneProfile(device="link"),
            "cpu": LaneProfile(device="cpu"),
        },
        capacities={"dram": 2e9},
        links=tuple(
            Link(
                direction=direction,
                memory="pinned",
                curve=Curve(x=(1e3, 1e6), seconds=(1e-6, 1e-3)),
                traffic={"dram": 1.0},
                source="made up",
            )
            for direction in ("h2d", "d2h")
        ),
        rooflines=tuple(
            Roofline(device=device, kind=kind, bytes_per_s=rate, flop_per_s=10 * rate, fixed_s=1e-6, source="made up")
            for device, rate in rates.items()
            for kind in KINDS
        ),
        stacks={"ours": Stack(dispatch_s={"default": 1e-6}, sync_s=1e-6, copies="pinned", source="made up")},
    )


def write_files(folder: Path, scenario: str = SCENARIO, **sizes: Any) -> Path:
    """Write model, machine and scenario; returns the path of the scenario."""
    (folder / "tiny.yaml").write_text(MODEL, encoding="utf-8")
    machine(**sizes).save(folder / "machine.json")
    path = folder / "scenario.yaml"
    path.write_text(scenario, encoding="utf-8")
    return path


def read_json(path: Path) -> Any:
    """What a JSON file says."""
    return json.loads(path.read_text(encoding="utf-8"))
