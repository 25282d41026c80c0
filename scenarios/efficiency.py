"""How much of what datasheets promise is achieved: medians of public measurements, the same for every machine."""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from scenarios.datasheet import Pcie, Platform
from scenarios.load import check
from scenarios.schema import Part
from scenarios.yaml_file import read_yaml

_FILE = Path(__file__).parent / "machines" / "common" / "efficiency.yaml"
Copy = Literal["pinned", "pageable"]


class Measurement(Part):
    """Somebody's measurement, and the nominal figure it is a share of, in the same unit."""

    achieved: PositiveFloat
    of: PositiveFloat
    source: str


class Share(Part):
    """Achieved over nominal."""

    what: str
    measured: list[Measurement] = Field(min_length=1)

    @property
    def value(self) -> float:
        """The median over the measurements."""
        return median(m.achieved / m.of for m in self.measured)

    def __str__(self) -> str:
        return f"{self.value:.3f} = {self.what}; median of {len(self.measured)} public measurements"


class Constant(Part):
    """A figure that is not a share of a nominal one."""

    value: PositiveFloat
    source: str

    def __str__(self) -> str:
        return f"{self.value:g}; {self.source}"


class SmallCopies(Part):
    """Rates of copies by size on one link."""

    source: str
    pcie: Pcie
    gb_per_s: dict[PositiveInt, PositiveFloat]


class Efficiency(Part):
    """All figures that turn a datasheet into a machine."""

    gpu_memory: Share
    gpu_flop: Share
    gpu_memory_size: Share
    pcie_pinned: dict[Literal[3, 4, 5], Share]
    pageable_of_pinned: Share
    dram_read: dict[Platform, Share]
    dram_shared: Share
    cpu_vector_flop: Share
    cpu_tile_flop: Share
    small_copies: SmallCopies
    kernels: dict[Literal["attention", "gate", "expert", "combine", "head"], PositiveInt]
    gpu_kernel_us: Constant
    cpu_kernel_us: Constant
    gpu_context_gib: Constant
    gpu_ecc_size: Constant
    host_memory_size: Constant
    dram_passes: dict[Literal["cpu", "pinned", "pageable", "storage"], PositiveFloat]

    def copy_overheads(self) -> list[tuple[int, float]]:
        """Seconds that a copy takes beyond size over rate, at each measured size, ascending.

        Never less than at a smaller size: else the noise of one measurement would make larger copies quicker.
        """
        full = self.pcie_pinned[self.small_copies.pcie.generation].value * self.small_copies.pcie.bytes_per_s
        rates = sorted(self.small_copies.gb_per_s.items())
        seconds = accumulate((size / (rate * 1e9) - size / full for size, rate in rates), max)
        return list(zip(sorted(self.small_copies.gb_per_s), seconds, strict=True))

    def named(self) -> dict[str, Share | Constant]:
        """Every share and constant by name, e.g. `dram_read.desktop`."""
        found: dict[str, Share | Constant] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            parts = {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
            found |= {key: part for key, part in parts.items() if isinstance(part, Share | Constant)}
        return found


@cache
def efficiency() -> Efficiency:
    """The one set of figures that every datasheet machine uses."""
    source = read_yaml(_FILE)
    return check(Efficiency, source.data, source)
