"""Cost: the seconds and the demands on shared capacities of every op of a Schedule on one Machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.curve import read_curve
from sim.errors import InputError
from sim.kernel_cost import KernelCost, OpSize
from sim.machine import Link, Machine
from sim.model import MoEModel
from sim.precision import Precisions
from sim.schedule import HOST, Kind, Lane, Ops, Schedule

_COMPUTE = (Kind.ATTENTION, Kind.GATE, Kind.EXPERT, Kind.COMBINE, Kind.HEAD)
_TRANSFER = (Kind.LOAD, Kind.UNLOAD, Kind.SEND, Kind.READ)
_FEW = 64  # ops: so many are sooner looked up one by one than sorted


@dataclass(frozen=True)
class Costs:
    """Per op: seconds at full speed, host seconds to dispatch it, demand [op, capacity] at full speed (units/s).

    `handoff_s` is what its lane takes to wake up for it if it was idle.
    """

    duration_s: NDArray[np.float64]
    dispatch_s: NDArray[np.float64]
    handoff_s: NDArray[np.float64]
    demand: NDArray[np.float64]
    capacities: tuple[float, ...] = ()

    def __getitem__(self, part: slice) -> Costs:
        """The costs of a run of consecutive ops."""
        return Costs(
            self.duration_s[part], self.dispatch_s[part], self.handoff_s[part], self.demand[part], self.capacities
        )


@dataclass(frozen=True)
class OpCost:
    """Seconds at full speed of one op and what it draws from each capacity, in units a second."""

    seconds: float
    demand: tuple[float, ...]


class CostModel:
    """Prices ops of one model on one machine under one software stack. `warnings` collects extrapolations."""

    def __init__(self, machine: Machine, model: MoEModel, precisions: Precisions, stack: str | None = None) -> None:
        self.machine = machine
        self.stack = machine.stack(stack)
        self.warnings: dict[str, None] = {}
        self._kernels = KernelCost(machine, model, precisions, self.stack, self.warnings)
        self._known: dict[tuple[Kind, str, OpSize], OpCost] = {}
        self._alike: dict[tuple[str, *tuple[int, ...]], OpCost] = {}
        self._dispatch_s = np.array([self.dispatch_s(kind) for kind in Kind], np.float64)

    @property
    def capacities(self) -> tuple[float, ...]:
        """What the machine has of each shared capacity, in the order of the demands."""
        return tuple(self.machine.capacities.values())

    def of(self, ops: Ops, lanes: tuple[Lane, ...]) -> Costs:
        """Costs of a block of ops; equal ops are priced once."""
        names = [lane.name for lane in lanes]
        layer_class = self._kernels.layer_class[np.clip(ops.layer, 0, None)]
        routed = (ops.kind == Kind.EXPERT) & (ops.expert >= 0)
        columns = (ops.kind, ops.lane, layer_class, routed, ops.tokens, ops.context, ops.sequences, ops.size_bytes)
        if len(ops) < _FEW:
            which = np.arange(len(ops))
            priced = [self._like(ops, op, names[row[1]], row) for op, row in enumerate(_rows(columns))]
        else:
            first, which = _distinct(columns)
            priced = [self._price(ops, op, names[ops.lane[op]]) for op in first.tolist()]
        seconds = np.array([cost.seconds for cost in priced], np.float64)
        demand = np.array([cost.demand for cost in priced], np.float64).reshape(len(priced), len(self.capacities))
        return Costs(
            duration_s=np.where(np.isnan(ops.stated_s), seconds[which], ops.stated_s),
            dispatch_s=self._dispatch_s[ops.kind] / np.where(routed, self._kernels.share(0), 1),
            handoff_s=np.array([self.handoff_s(name) for name in names], np.float64)[ops.lane],
            demand=demand[which],
            capacities=self.capacities,
        )

    def op(self, kind: Kind, lane: str, work: OpSize) -> OpCost:
        """Cost of one op, also for strategies that weigh two ways of doing a thing."""
        key = (kind, lane, work)
        if key not in self._known:
            self._known[key] = self._cost(kind, lane, work)
        return self._known[key]

    def dispatch_s(self, kind: Kind) -> float:
        """Host seconds to dispatch an op of this kind."""
        table = self.stack.dispatch_s
        return table.get(kind.name.lower(), table.get("default", 0.0))

    def handoff_s(self, lane: str) -> float:
        """Seconds that a lane takes to wake up for an op; the host lane is never asleep."""
        if lane == HOST or lane not in self.machine.lanes:
            return 0.0
        return self.stack.handoff_s.get(self.machine.lanes[lane].device, 0.0)

    def _like(self, ops: Ops, op: int, lane: str, row: tuple[int, ...]) -> OpCost:
        """The price of an op that was the same in all that matters, if there was one."""
        known = self._alike.get((lane, *row))
        if known is None:
            known = self._alike[(lane, *row)] = self._price(ops, op, lane)
        return known

    def _price(self, ops: Ops, op: int, lane: str) -> OpCost:
        sizes = (ops.layer, ops.expert, ops.tokens, ops.context, ops.sequences, ops.size_bytes)
        return self.op(Kind(ops.kind[op]), lane, OpSize(*(int(column[op]) for column in sizes)))

    def _cost(self, kind: Kind, lane: str, work: OpSize) -> OpCost:
        if kind == Kind.WAIT:
            return OpCost(self.stack.sync_s, (0.0,) * len(self.capacities))
        if kind not in _COMPUTE and kind not in _TRANSFER:
            return OpCost(0.0, (0.0,) * len(self.capacities))
        if lane not in self.machine.lanes:
            raise InputError(
                f"machine {self.machine.name} has no such lane",
                field="lane",
                value=lane,
                remedy=f"it has {', '.join(self.machine.lanes)}",
            )
        profile = self.machine.lanes[lane]
        if kind in _TRANSFER:
            link = self._link(kind, lane)
            seconds, moved, traffic = self._copy_s(link, work.size_bytes), float(work.size_bytes), link.traffic
        else:
            seconds, moved = self._kernels.cost(profile.device, kind, work)
            traffic = self.machine.devices[profile.device].traffic
        rate = moved / seconds if seconds else 0.0
        demand = (
            min(most, profile.uses.get(name, 0.0) + traffic.get(name, 0.0) * rate)  # alone, an op is at full speed
            for name, most in self.machine.capacities.items()
        )
        return OpCost(seconds, tuple(demand))

    def _link(self, kind: Kind, lane: str) -> Link:
        """The link behind a transfer lane: `….h2d`, `….d2h`, or storage; copies as the stack makes them."""
        direction = "read" if kind == Kind.READ else lane.rsplit(".", 1)[-1]
        memory = "storage" if kind == Kind.READ else self.stack.copies
        for link in self.machine.links:
            if (link.direction, link.memory) == (direction, memory):
                return link
        raise InputError(
            f"machine {self.machine.name} has no {memory} link in this direction",
            field="links",
            value=direction,
            remedy="choose a stack whose copies the machine file knows, or add the link",
        )

    def _copy_s(self, link: Link, size_bytes: int) -> float:
        reading = read_curve(link.curve, size_bytes)
        if size_bytes > link.curve.x[-1]:
            self.warnings[f"{link.direction} copies above {link.curve.x[-1]:.3g} bytes are extrapolated"] = None
        return reading.seconds


def costs_of(schedule: Schedule, machine: Machine, stack: str | None = None) -> Costs:
    """Costs of a whole schedule."""
    return CostModel(machine, schedule.model, schedule.precisions, stack).of(schedule.ops, schedule.lanes)


def _rows(columns: tuple[NDArray[np.generic], ...]) -> Iterator[tuple[int, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def _distinct(columns: tuple[NDArray[np.generic], ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First row of each distinct combination, and for each row the number of its combination."""
    key = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, code = np.unique(column, return_inverse=True)
        key = key * len(values) + code
        _, key = np.unique(key, return_inverse=True)  # stay far from overflow
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    return first, which
