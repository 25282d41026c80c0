"""Machine: what a computer can do, measured or from datasheets, as one versioned JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, ValidationError, model_validator

from sim.errors import FormatError, InputError
from sim.files import write_text
from sim.inputs import read_text
from sim.notebook import inputs, shown

VERSION: Final = 1
_REMEDY = "give a file made by `moesim calibrate`"
Bytes = Annotated[int, Field(ge=0)]
Demand = dict[str, NonNegativeFloat]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Memory(_Part):
    """A memory: what the label says and what a program can really use."""

    nominal_bytes: Bytes
    usable_bytes: Bytes


class Device(_Part):
    """A processor. `traffic`: bytes it moves through each shared capacity for a byte that a kernel reads."""

    traffic: Demand = {}


class Power(_Part):
    """Watts that a device draws while it computes and while it does not (0: not stated, so not counted)."""

    busy_w: PositiveFloat
    idle_w: NonNegativeFloat = 0.0


class LaneProfile(_Part):
    """How a lane of a schedule runs here: on which device, and what it occupies while it does (`cores: 1`)."""

    device: str
    uses: Demand = {}


class Curve(_Part):
    """Seconds measured over an axis of sizes, with the relative spread (IQR / median) of each point."""

    x: tuple[PositiveFloat, ...]
    seconds: tuple[PositiveFloat, ...]
    spread: tuple[NonNegativeFloat, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.x or len(self.x) != len(self.seconds):
            raise ValueError("x and seconds must have the same, positive length")
        if self.spread and len(self.spread) != len(self.x):
            raise ValueError("spread must be empty or as long as x")
        if list(self.x) != sorted(set(self.x)):
            raise ValueError("x must increase strictly")
        return self


class Link(_Part):
    """Transfers of one direction and kind of host memory: a curve over bytes.

    `traffic`: bytes through each shared capacity for a byte transferred (pageable copies pass DRAM more often).
    """

    direction: Literal["h2d", "d2h", "read"]
    memory: Literal["pinned", "pageable", "storage"]
    curve: Curve
    traffic: Demand = {}
    source: str


class Kernel(_Part):
    """Seconds of one kind of kernel of one exact shape, over tokens (attention in decode: a curve for each context)."""

    device: str
    kind: Literal["attention", "gate", "expert", "combine", "head"]
    phase: Literal["any", "prefill", "decode"] = "any"
    shape: tuple[int, ...]
    precision: str
    context: PositiveFloat | None = None
    curve: Curve
    source: str

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases that it holds for."""
        return ("prefill", "decode") if self.phase == "any" else (self.phase,)


class Roofline(_Part):
    """For shapes that were not measured: `fixed_s + max(bytes / bytes_per_s, flop / flop_per_s)`.

    Spreads are relative (IQR / median), of the fit's residuals or of the figures behind a datasheet's line: `spread` of
    the bytes' rate, the others of theirs; None is the same.
    """

    device: str
    kind: Literal["attention", "gate", "expert", "combine", "head"]
    precision: str | None = None
    bytes_per_s: PositiveFloat
    flop_per_s: PositiveFloat
    fixed_s: NonNegativeFloat
    spread: NonNegativeFloat = 0.0
    flop_spread: NonNegativeFloat | None = None
    fixed_spread: NonNegativeFloat | None = None
    source: str


class Stack(_Part):
    """What belongs to software: host seconds to dispatch each kind of op, to resume after a wait, to hand over work.

    `handoff_s` is what a lane takes, by device, to wake up for an op that finds it idle; `slowdown` multiplies
    kernels, keyed by `device.kind` or `device.kind.precision` (dequantisation). With `grouped_experts` an indexed
    product serves all routed experts of a layer, each of which then pays 1 / top-k of its launches and fixed time.
    `queue_s` is what a priority lane needs for every op to notice its end, choose the next and hand that over, where
    software stands in front of the copy engine. `spread` is relative (IQR / median).
    """

    dispatch_s: dict[str, NonNegativeFloat]
    sync_s: NonNegativeFloat
    handoff_s: dict[str, NonNegativeFloat] = {}
    queue_s: NonNegativeFloat = 0.0
    grouped_experts: bool = False
    copies: Literal["pinned", "pageable"]
    slowdown: dict[str, PositiveFloat] = {}
    spread: dict[Literal["dispatch", "sync", "handoff"], NonNegativeFloat] = {}
    source: str


@shown(inputs.machine_card)
class Machine(_Part):
    """One computer: memories, lanes, links, kernels, shared capacities (units a second) and software stacks.

    `capacity_spread` is how far each capacity may be off (IQR / median), by the measurements that it rests on: `cpu
    bytes` and others that prices name as their origin, with which it errs together, or names of its own. `drift` is the
    part of all spreads of a device's kernels or copies, by device, that is common to them: how much the memory under
    them changed its speed meanwhile (IQR / median).
    """

    format: Literal["moesim-machine"] = "moesim-machine"
    version: Literal[1] = VERSION
    name: str
    origin: Literal["measured", "datasheet"]
    description: str = ""
    fingerprint: dict[str, str] = {}
    memory: dict[str, Memory]
    devices: dict[str, Device]
    lanes: dict[str, LaneProfile]
    capacities: dict[str, PositiveFloat] = {}
    capacity_spread: dict[str, dict[str, NonNegativeFloat]] = {}
    drift: dict[str, NonNegativeFloat] = {}
    links: tuple[Link, ...]
    kernels: tuple[Kernel, ...] = ()
    rooflines: tuple[Roofline, ...] = ()
    stacks: Annotated[dict[str, Stack], Field(min_length=1)]
    power: dict[Literal["gpu", "cpu"], Power] = {}
    sources: dict[str, str] = {}

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for where, names, known in (
            ("lanes", [lane.device for lane in self.lanes.values()], self.devices),
            ("lanes.uses", [c for lane in self.lanes.values() for c in lane.uses], self.capacities),
            ("devices.traffic", [c for device in self.devices.values() for c in device.traffic], self.capacities),
            ("links.traffic", [c for link in self.links for c in link.traffic], self.capacities),
            ("capacity_spread", [*self.capacity_spread], self.capacities),
            ("drift", [*self.drift], self.devices),
        ):
            for name in names:
                if name not in known:
                    raise ValueError(f"{where} names {name!r}, which is not among {sorted(known)}")
        if missing := {"gpu0", "host"} - self.memory.keys():
            raise ValueError(f"memory lacks {', '.join(sorted(missing))}")
        return self

    @model_validator(mode="after")
    def _measured_once(self) -> Self:
        first: dict[tuple[object, ...], int] = {}
        for i, k in enumerate(self.kernels):
            for phase in k.phases:
                key = (k.device, k.kind, phase, k.shape, k.precision, k.context)
                if first.setdefault(key, i) != i:
                    raise ValueError(f"kernels.{i} repeats kernels.{first[key]}: {key}")
        return self

    def stack(self, name: str | None = None) -> Stack:
        """A software stack by name, or the first; raises InputError listing those there are."""
        if name is None:
            return next(iter(self.stacks.values()))
        if name not in self.stacks:
            raise InputError(
                f"machine {self.name} has no such stack",
                field="stack",
                value=name,
                remedy=f"choose one of {', '.join(self.stacks)}",
            )
        return self.stacks[name]

    def save(self, path: str | Path) -> None:
        """Write the machine file, atomically; equal machines give equal bytes."""
        write_text(path, self.model_dump_json(indent=1, exclude_defaults=False) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a machine file; raises FormatError naming the first field that is wrong."""
        try:
            data = json.loads(read_text(path, _REMEDY))
        except ValueError as error:
            raise FormatError(f"is not JSON: {error}", file=path, remedy=_REMEDY) from error
        return cls.parse(data, path)

    @classmethod
    def parse(cls, data: Any, path: str | Path) -> Self:
        """Check a machine given as plain data; `path` is only for messages."""
        if not isinstance(data, dict) or data.get("format", "moesim-machine") != "moesim-machine":
            raise FormatError("is not a machine file", file=path, remedy=_REMEDY)
        version = data.get("version", VERSION)
        if isinstance(version, int) and version > VERSION:
            raise FormatError(
                "was written by a newer moesim",
                file=path,
                field="version",
                value=version,
                remedy=f"update moesim, or calibrate again (this one reads version {VERSION})",
            )
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise FormatError(**describe(error), file=path) from error


def describe(error: ValidationError) -> dict[str, Any]:
    """The first complaint of pydantic as the words of an InputError."""
    first = error.errors(include_url=False)[0]
    value = first["input"] if first["type"] not in {"missing", "value_error"} else None
    return {
        "message": first["msg"][0].lower() + first["msg"][1:],
        "field": ".".join(str(part) for part in first["loc"]) or None,
        "value": value,
        "remedy": "see `moesim schema` for what is allowed",
    }
