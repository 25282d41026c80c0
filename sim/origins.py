"""Origins: names of the measurements that prices rest on; what has one origin errs together."""

from __future__ import annotations

from typing import Final, Literal, get_args

from sim.machine import Link, Machine

DISPATCH: Final = "dispatch"
SYNC: Final = "sync"
HANDOFF: Final = "handoff"
DRIFT: Final = "memory drift"  # of the speed of memory, in all that has to do with it
SOFTWARE: Final = "software"  # whose seconds a strategy states
Bound = Literal["bytes", "flop"]
BOUNDS: tuple[Bound, ...] = get_args(Bound)


def of_kernel(device: str, kind: str) -> str:
    """A table of measured kernels: all shapes and sizes of one kind were measured in the same minutes."""
    return f"{device} {kind}"


def of_roofline(machine: Machine, device: str, kind: str, bound: Bound) -> str:
    """What most of a kernel's time rests on: of a datasheet, one figure for all kinds; else a fit to the kind's own.

    Fixed seconds count as bytes do.
    """
    return f"{device} {bound}" if machine.origin == "datasheet" else of_kernel(device, kind)


def of_link(machine: Machine, link: Link) -> str:
    """A link: of a datasheet, one figure for both directions."""
    if link.direction == "read":
        return "storage read"
    return f"{link.memory} {'copies' if machine.origin == 'datasheet' else link.direction}"


def of_machine(machine: Machine) -> list[str]:
    """All origins of a machine's prices and capacities."""
    return list(
        dict.fromkeys([
            *(of_kernel(kernel.device, kernel.kind) for kernel in machine.kernels),
            *(of_roofline(machine, line.device, line.kind, bound) for line in machine.rooflines for bound in BOUNDS),
            *(of_link(machine, link) for link in machine.links),
            *(origin for spreads in machine.capacity_spread.values() for origin in spreads),
            *(DISPATCH, SYNC, HANDOFF, DRIFT, SOFTWARE),
        ])
    )  # fmt: skip
