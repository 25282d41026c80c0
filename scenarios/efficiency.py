"""How much of what datasheets promise is achieved: medians of public measurements, the same for every machine."""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from math import log, sqrt
from pathlib import Path
from statistics import median, stdev
from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from scenarios.datasheet import Pcie, Platform
from scenarios.load import check
from scenarios.schema import Part, refusal
from scenarios.yaml_file import read_yaml
from sim.noise import spread_of

_ENOUGH = 3  # measurements whose dispersion says something
_FILE = Path(__file__).parent / "machines" / "common" / "efficiency.yaml"
Copy = Literal["pinned", "pageable"]


class Measurement(Part):
    """Somebody's measurement, and the nominal figure it is a share of, in the same unit."""

    achieved: PositiveFloat
    of: PositiveFloat
    source: str


class StatedSpread(Part):
    """How far a figure may be off where too few measurements say so: interquartile range over median, and why."""

    value: PositiveFloat
    source: str


class Share(Part):
    """Achieved over nominal. `few` states the spread of a share with less than three measurements, of no other."""

    what: str
    measured: list[Measurement] = Field(min_length=1)
    few: StatedSpread | None = None

    @model_validator(mode="after")
    def _spread_of_few(self) -> Self:
        if (len(self.measured) < _ENOUGH) != (self.few is not None):
            raise refusal(f"goes with less than {_ENOUGH} measurements", "measure more, or state why that much", "few")
        return self

    @property
    def spread(self) -> float:
        """Interquartile range over median of the share of one more computer, as log-normal.

        Its variance is that among the measured computers plus that of their own centre.
        """
        if self.few is not None:
            return self.few.value
        n = len(self.measured)
        return spread_of(stdev(log(m.achieved / m.of) for m in self.measured) * sqrt(1 + 1 / n))

    @property
    def value(self) -> float:
        """The median over the measurements."""
        return median(m.achieved / m.of for m in self.measured)

    def __str__(self) -> str:
        of = f"median of {len(self.measured)} public measurements"
        return f"{self.value:.3f} = {self.what}; {of}, spread {self.spread:.0%}"


class Constant(Part):
    """A figure that is not a share of a nominal one; without a spread if no time follows from it."""

    value: PositiveFloat
    source: str
    spread: StatedSpread | None = None

    def __str__(self) -> str:
        return f"{self.value:g}; {self.source}"


class SmallCopies(Part):
    """Rates of copies by size on one link."""

    source: str
    pcie: Pcie
    gb_per_s: dict[PositiveInt, PositiveFloat]
    spread: StatedSpread


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
    storage_read: StatedSpread
    on_this_machine: StatedSpread
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
