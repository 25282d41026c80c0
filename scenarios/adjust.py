"""A machine with some of its numbers changed by name: what would be if the link were faster, or the CPU slower."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

from scenarios.datasheet import GIB
from scenarios.schema import did_you_mean
from sim.errors import InputError
from sim.machine import Curve, Device, Kernel, Link, Machine, Memory, Roofline, Stack
from sim.memory import GPU_MEMORY, HOST_MEMORY

Change = Callable[[Machine, float], Machine]
_Part = TypeVar("_Part", Machine, Link, Kernel, Roofline, Stack, Memory, Device)
_DRAM = "dram"
_LEAST_S = 1e-9


def adjusted(machine: Machine, changes: Mapping[str, float]) -> Machine:
    """Return the machine with the named numbers changed, one after the other; docs/machines.md lists the names.

    A name that ends in `speed` is a factor, any other states the new value in its unit. InputError, naming it, for a
    name that is not known, a value that is not positive, or a number that this machine does not have.
    """
    if not changes:
        return machine
    for name, value in changes.items():
        if name not in CHANGES:
            raise InputError("no number of a machine is called this", field=name, remedy=did_you_mean(name, [*CHANGES]))
        if not (value > 0 and math.isfinite(value)):
            raise InputError("must be a positive number", field=name, value=value, remedy="state what it becomes")
        machine = CHANGES[name](machine, value)
    stated = ", ".join(f"{name} {value:g}" for name, value in changes.items())
    return _with(machine, name=f"{machine.name} (adjusted)", sources=machine.sources | {"adjusted": stated})


def faster_memory(machine: Machine, factor: float) -> dict[str, float]:
    """The changes that make host memory faster: for all its users together, and for what CPU kernels stream.

    Where kernels were measured as wholes, their arithmetic counts with that.
    """
    changes = {f"{_DRAM}.speed": factor} if _DRAM in machine.capacities else {}
    if any(kernel.device == "cpu" for kernel in machine.kernels):
        return changes | {"cpu.speed": factor}
    streamed = max((line.bytes_per_s for line in machine.rooflines if line.device == "cpu"), default=0.0)
    return changes | ({"cpu.gb_per_s": factor * streamed / 1e9} if streamed else {})


def _device_speed(device: str, machine: Machine, factor: float) -> Machine:
    """Bandwidth and arithmetic of a device's kernels; what a kernel takes whatever its size stays."""
    fixed_s = {line.kind: line.fixed_s for line in machine.rooflines if line.device == device}
    return _with(
        machine,
        rooflines=tuple(
            _with(line, bytes_per_s=line.bytes_per_s * factor, flop_per_s=line.flop_per_s * factor)
            if line.device == device
            else line
            for line in machine.rooflines
        ),
        kernels=tuple(
            _with(kernel, curve=_faster(kernel.curve, fixed_s.get(kernel.kind, 0.0), factor))
            if kernel.device == device
            else kernel
            for kernel in machine.kernels
        ),
    )


def _device_bandwidth(device: str, machine: Machine, gb_per_s: float) -> Machine:
    if any(kernel.device == device for kernel in machine.kernels):
        raise InputError(
            f"the kernels of {machine.name} were measured as wholes",
            field=f"{device}.gb_per_s",
            remedy=f"change {device}.speed instead",
        )
    lines = (_with(line, bytes_per_s=gb_per_s * 1e9) if line.device == device else line for line in machine.rooflines)
    return _with(machine, rooflines=tuple(lines))


def _link(
    directions: Sequence[str],
    memories: Sequence[str],
    unit: Literal["gb_per_s", "speed"],
    machine: Machine,
    value: float,
) -> Machine:
    """Rate of large copies; the fixed cost of each copy stays."""

    def change(link: Link) -> Link:
        if link.direction not in directions or link.memory not in memories:
            return link
        return _at_rate(link, value * (1e9 if unit == "gb_per_s" else copy_bytes_per_s(link)))

    return _with(machine, links=tuple(map(change, machine.links)))


def _shared(unit: Literal["gb_per_s", "speed"], machine: Machine, value: float) -> Machine:
    """What all users of host memory get together; none of them alone is then faster than that."""
    if _DRAM not in machine.capacities:
        raise InputError(f"{machine.name} has no such shared capacity", field=f"{_DRAM}.{unit}", remedy="leave it out")
    most = value * (1e9 if unit == "gb_per_s" else machine.capacities[_DRAM])
    passes = {name: device.traffic.get(_DRAM, 0.0) for name, device in machine.devices.items()}
    lines = (
        _with(line, bytes_per_s=min(line.bytes_per_s, most / passes[line.device])) if passes[line.device] else line
        for line in machine.rooflines
    )
    links = (
        _at_rate(link, most) if link.traffic.get(_DRAM) and copy_bytes_per_s(link) > most else link
        for link in machine.links
    )
    return _with(machine, capacities=machine.capacities | {_DRAM: most}, rooflines=tuple(lines), links=tuple(links))


def _dispatch_speed(machine: Machine, factor: float) -> Machine:
    """The host's software: dispatching ops, going on after a wait, waking a lane."""

    def change(stack: Stack) -> Stack:
        return _with(
            stack,
            dispatch_s={kind: seconds / factor for kind, seconds in stack.dispatch_s.items()},
            sync_s=stack.sync_s / factor,
            handoff_s={device: seconds / factor for device, seconds in stack.handoff_s.items()},
        )

    return _with(machine, stacks={name: change(stack) for name, stack in machine.stacks.items()})


def _memory_size(memory: str, machine: Machine, gib: float) -> Machine:
    """What a program can use of it."""
    size = int(gib * GIB)
    changed = Memory(nominal_bytes=max(size, machine.memory[memory].nominal_bytes), usable_bytes=size)
    return _with(machine, memory=machine.memory | {memory: changed})


def copy_bytes_per_s(link: Link) -> float:
    """The rate of large copies: the slope of the last segment, or size over time where there is but one point."""
    x, seconds = link.curve.x, link.curve.seconds
    if len(x) == 1 or seconds[-1] <= seconds[-2]:
        return x[-1] / seconds[-1]
    return (x[-1] - x[-2]) / (seconds[-1] - seconds[-2])


def _at_rate(link: Link, bytes_per_s: float) -> Link:
    before, curve = copy_bytes_per_s(link), link.curve
    seconds = (max(s - x / before, 0.0) + x / bytes_per_s for x, s in zip(curve.x, curve.seconds, strict=True))
    return _with(link, curve=Curve(x=curve.x, seconds=tuple(seconds), spread=curve.spread))


def _faster(curve: Curve, fixed_s: float, factor: float) -> Curve:
    seconds = (min(s, fixed_s) + max(s - fixed_s, 0.0) / factor for s in curve.seconds)
    return Curve(x=curve.x, seconds=tuple(max(s, _LEAST_S) for s in seconds), spread=curve.spread)


def _with(part: _Part, **fields: Any) -> _Part:
    return part.model_copy(update=fields)


def _link_names() -> dict[str, Change]:
    """link.speed and link.gb_per_s, of one direction, of one kind of host memory, or of both."""
    both, kinds = ("h2d", "d2h"), ("pinned", "pageable")
    names: dict[str, Change] = {}
    for direction, directions in {"": both, **{f".{each}": (each,) for each in both}}.items():
        for kind, memories in {"": kinds, **{f".{each}": (each,) for each in kinds}}.items():
            for unit in ("gb_per_s", "speed"):
                names[f"link{direction}{kind}.{unit}"] = partial(_link, directions, memories, unit)
    return names


CHANGES: dict[str, Change] = {
    **{f"{device}.speed": partial(_device_speed, device) for device in ("gpu", "cpu")},
    **{f"{device}.gb_per_s": partial(_device_bandwidth, device) for device in ("gpu", "cpu")},
    **_link_names(),
    "dram.gb_per_s": partial(_shared, "gb_per_s"),
    "dram.speed": partial(_shared, "speed"),
    "storage.gb_per_s": partial(_link, ("read",), ("storage",), "gb_per_s"),
    "storage.speed": partial(_link, ("read",), ("storage",), "speed"),
    "dispatch.speed": _dispatch_speed,
    "gpu.memory_gib": partial(_memory_size, GPU_MEMORY),
    "host.memory_gib": partial(_memory_size, HOST_MEMORY),
}
