"""A machine as its datasheets describe it: facts with their source, in a YAML file that people write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from scenarios.load import check
from scenarios.schema import Part, refusal
from scenarios.yaml_file import read_yaml

Source = Annotated[str, Field(min_length=1, description="Where these figures stand, or that they are a choice.")]
Rate = Literal["fp32", "bf16", "fp16", "fp8", "int8"]
Platform = Literal["desktop", "server"]
GIB = 1 << 30


class Pcie(Part):
    """What one end of the PCIe link can do; the link does what both ends can."""

    generation: Literal[3, 4, 5]
    lanes: Literal[1, 2, 4, 8, 16] = 16

    @property
    def bytes_per_s(self) -> float:
        """Theoretical rate of one direction, after 128b/130b coding."""
        gt_per_s = {3: 8e9, 4: 16e9, 5: 32e9}[self.generation]
        return self.lanes * gt_per_s * 128 / 130 / 8


class Gpu(Part):
    """One GPU. Rates are dense (no sparsity), with fp32 accumulation; without bf16, the fp32 units compute it."""

    model: str
    memory_gib: PositiveFloat
    ecc_in_memory: bool = Field(False, description="ECC takes its 1/16 of the memory (GDDR; HBM has room of its own).")
    memory_gb_per_s: PositiveFloat
    l2_mib: PositiveFloat
    dense_tflops: dict[Rate, PositiveFloat] = Field(description="By precision of the operands; fp32 and fp16 at least.")
    power_w: PositiveFloat | None = Field(None, description="Board power, from the maker's specifications.")
    pcie: Pcie
    source: Source

    @model_validator(mode="after")
    def _rates(self) -> Self:
        for rate in ("fp32", "fp16"):
            if rate not in self.dense_tflops:
                raise refusal(f"lacks {rate}", f"state the dense rate in {rate}", "dense_tflops")
        return self


class Cpu(Part):
    """One socket; its clock is the base clock, which all cores sustain."""

    model: str
    cores: PositiveInt
    base_ghz: PositiveFloat
    vector_flop_per_cycle: dict[Literal["fp32", "bf16"], PositiveFloat] = Field(
        description="Of one core; fp32 at least."
    )
    tile_flop_per_cycle: dict[Literal["bf16"], PositiveFloat] = Field({}, description="Of one core's AMX unit.")
    power_w: PositiveFloat | None = Field(None, description="Thermal design power, from the maker's specifications.")
    pcie: Pcie
    source: Source

    @model_validator(mode="after")
    def _rates(self) -> Self:
        if "fp32" not in self.vector_flop_per_cycle:
            raise refusal("lacks fp32", "state FLOP a cycle in fp32 (2 × lanes × FMA units)", "vector_flop_per_cycle")
        return self


class Dram(Part):
    """Host memory of that socket. `platform` chooses which achieved share of its bandwidth applies."""

    platform: Platform = Field(description="desktop: 1 or 2 channels; server: 4 and more, workstations included.")
    type: str
    channels: PositiveInt
    mt_per_s: PositiveFloat
    memory_gib: PositiveFloat
    source: Source

    @property
    def bytes_per_s(self) -> float:
        """Theoretical bandwidth: 8 bytes a transfer and channel."""
        return 8e6 * self.channels * self.mt_per_s

    @model_validator(mode="after")
    def _channels_of_platform(self) -> Self:
        if (self.platform == "desktop") != (self.channels <= 2):
            raise refusal("contradicts the channels", "desktop has 1 or 2, server 4 and more", "platform")
        return self


class Storage(Part):
    """The drive that weights are read from when they are not in host memory."""

    model: str
    read_gb_per_s: PositiveFloat
    latency_us: NonNegativeFloat
    source: Source


class Measured(Part):
    """What has been measured on this very machine; it goes before the achieved share of its class."""

    dram_read_gb_per_s: PositiveFloat | None = None
    pinned_gb_per_s: PositiveFloat | None = None
    pageable_gb_per_s: PositiveFloat | None = None
    source: Source


class Datasheet(Part):
    """One computer with one GPU, as datasheets describe it."""

    name: str
    description: str = ""
    gpu: Gpu
    cpu: Cpu
    dram: Dram
    storage: Storage
    measured: Measured | None = None

    @property
    def link(self) -> Pcie:
        """What the slower end of the PCIe link allows."""
        ends = (self.gpu.pcie, self.cpu.pcie)
        return min(ends, key=lambda end: end.generation).model_copy(update={"lanes": min(end.lanes for end in ends)})

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.measured is None:
            return self
        for field, limit in (
            ("dram_read_gb_per_s", self.dram.bytes_per_s),
            ("pinned_gb_per_s", self.link.bytes_per_s),
            ("pageable_gb_per_s", self.link.bytes_per_s),
        ):
            value = getattr(self.measured, field)
            if value is not None and value * 1e9 > limit:
                raise refusal(
                    f"{field} {value:g} exceeds what is possible",
                    f"{limit / 1e9:.4g} GB/s is the theoretical rate",
                    "measured",
                )
        return self


def read_datasheet(path: str | Path) -> Datasheet:
    """Read a datasheet; raises InputError naming file, line, field, value and remedy of the first fault."""
    source = read_yaml(path)
    return check(Datasheet, source.data, source)
