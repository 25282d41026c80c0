"""Software stacks: what dispatching, waiting and handing over cost, and which formats have fused kernels."""

from __future__ import annotations

from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from scenarios.load import check
from scenarios.schema import Part
from scenarios.yaml_file import read_yaml
from sim.machine import Stack
from sim.precision import PRECISIONS

_FILE = Path(__file__).parent / "machines" / "common" / "stacks.yaml"
_READS_WEIGHTS = ("attention", "gate", "expert", "head")
Kind = Literal["attention", "gate", "expert", "combine", "head", "load", "unload", "send", "read", "wait", "default"]


class StackSheet(Part):
    """A stack as its file describes it; the file's head says what the fields mean."""

    source: str
    launch_us: PositiveFloat
    launches: dict[Kind, NonNegativeInt]
    sync_us: NonNegativeFloat
    handoff_us: dict[Literal["gpu", "cpu"], NonNegativeFloat] = Field({})
    grouped_experts: bool = False
    copies: Literal["pinned", "pageable"]
    unfused: dict[Literal["gpu", "cpu"], list[str]] = Field({})
    spread: dict[Literal["dispatch", "sync", "handoff"], NonNegativeFloat]

    def stack(self) -> Stack:
        """The stack as the simulator takes it."""
        return Stack(
            dispatch_s={kind: count * self.launch_us * 1e-6 for kind, count in self.launches.items()},
            sync_s=self.sync_us * 1e-6,
            handoff_s={device: us * 1e-6 for device, us in self.handoff_us.items()},
            grouped_experts=self.grouped_experts,
            copies=self.copies,
            slowdown=self._slowdown(),
            spread=self.spread,
            source=self.source,
        )

    def _slowdown(self) -> dict[str, float]:
        """Unpacking to 16 bits moves `bits` + 16 + 16 where a fused kernel reads `bits`."""
        return {
            f"{device}.{kind}.{name}": (precision.bits + 32) / precision.bits
            for device, patterns in self.unfused.items()
            for name, precision in PRECISIONS.items()
            if any(fnmatch(name, pattern) for pattern in patterns)
            for kind in _READS_WEIGHTS
        }


class StackSheets(Part):
    """The file of stacks."""

    stacks: dict[str, StackSheet]


@cache
def stacks() -> dict[str, Stack]:
    """Every stack by name, in the order of the file; the first is what a scenario gets if it names none."""
    source = read_yaml(_FILE)
    return {name: sheet.stack() for name, sheet in check(StackSheets, source.data, source).stacks.items()}
