"""Cost: the seconds and the demands on shared capacities of every op of a Schedule on one Machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import origins
from sim.curve import read_points
from sim.errors import InputError, ScheduleError
from sim.kernel_cost import COMPUTE, Floats, KernelCost, OpSize, Sizes, sizes_of
from sim.machine import Link, Machine, Stack
from sim.model import MoEModel
from sim.op_classes import OpClasses, block_classes, op_classes, routed
from sim.precision import Precisions
from sim.price_columns import OpCost, PriceColumns, Prices
from sim.schedule import HOST, Kind, Lane, Ops, Schedule

_TRANSFER = (Kind.LOAD, Kind.UNLOAD, Kind.SEND, Kind.READ)
_MOST_KNOWN = 1 << 14  # prices: longer runs forget them now and then, for contexts grow without end
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
class Priced:
    """The classes of a block of ops, priced on one machine. Arrays are [class]; `demand`, `held` are [class, capacity].

    `origin` numbers `origins`; `spread` is of `seconds`, and `drift` the part of it that all share. `stack_spread` is
    of dispatching and handing over, and `capacity_spread` of the capacities, by origin. `stated_s` [op] is NaN where
    the machine knows.
    """

    classes: OpClasses
    stated_s: NDArray[np.float64]
    seconds: NDArray[np.float64]
    dispatch_s: NDArray[np.float64]
    handoff_s: NDArray[np.float64]
    demand: NDArray[np.float64]
    held: NDArray[np.float64]
    origin: NDArray[np.intp]
    spread: NDArray[np.float64]
    drift: NDArray[np.float64]
    origins: tuple[str, ...]
    stack_spread: Mapping[str, float]
    capacities: tuple[float, ...]
    capacity_spread: tuple[Mapping[str, float], ...]

    def costs(self) -> Costs:
        """The costs of every op."""
        which = self.classes.which
        return Costs(
            duration_s=np.where(np.isnan(self.stated_s), self.seconds[which], self.stated_s),
            dispatch_s=self.dispatch_s[which],
            handoff_s=self.handoff_s[which],
            demand=self.demand[which],
            capacities=self.capacities,
        )


class CostModel:
    """Prices ops of one model on one machine under one software stack. `warnings` collects extrapolations."""

    def __init__(self, machine: Machine, model: MoEModel, precisions: Precisions, stack: str | None = None) -> None:
        self.machine = machine
        self.asked = False
        self.warnings: dict[str, None] = {}
        self._model, self._precisions, self._stack = model, precisions, machine.stack(stack)
        self._kernels = KernelCost(machine, model, precisions, self._stack, self.warnings)
        self._known: dict[tuple[Kind, str, OpSize], OpCost] = {}
        self._alike: dict[tuple[str, *tuple[int, ...]], OpCost] = {}
        self._dispatch_s = np.array([self.dispatch_s(kind) for kind in Kind], np.float64)

    @property
    def stack(self) -> Stack:
        """The software stack that it prices for."""
        self.asked = True
        return self._stack

    def view(self) -> CostModel:
        """The same prices for somebody else, of whom one can tell whether he `asked`."""
        view = copy(self)
        view.asked = False
        return view

    @property
    def capacities(self) -> tuple[float, ...]:
        """What the machine has of each shared capacity, in the order of the demands."""
        return tuple(self.machine.capacities.values())

    @cached_property
    def identity(self) -> dict[str, str]:
        """The machine by name, and a digest of that and of the stack: prices are equal where these are."""
        text = self.machine.model_dump_json() + self._stack.model_dump_json()
        return {"machine": self.machine.name, "digest": hashlib.sha256(text.encode()).hexdigest()[:16]}

    def check_planned_for(self, schedule: Schedule) -> None:
        """Raise ScheduleError for a schedule whose strategy asked another machine, or stack, for prices or the time."""
        planned_for = schedule.meta.get("planned_for", {})
        if not schedule.portable and planned_for != self.identity:
            raise ScheduleError(
                f"the schedule was planned for {planned_for.get('machine', 'an unknown machine')}, whose prices or "
                f"clock decided; plan it again for {self.machine.name} and its stack"
            )

    def of(self, ops: Ops, lanes: tuple[Lane, ...]) -> Costs:
        """Costs of a block of ops; equal ops are priced once."""
        if len(ops) < _FEW:
            return self._one_by_one(ops, lanes).costs()
        return self.price(ops, lanes, op_classes(ops, self._model)).costs()

    def of_schedule(self, schedule: Schedule) -> Costs:
        """Costs of a whole schedule, whose classes are found once for all machines."""
        return self.price(schedule.ops, schedule.lanes, schedule.classes).costs()

    def price(self, ops: Ops, lanes: tuple[Lane, ...], classes: OpClasses) -> Priced:
        """Price each class of a block of ops."""
        names = [lane.name for lane in lanes]
        prices = Prices.empty(len(classes), len(self.capacities))
        for group in classes.groups(ops, self._model, self._precisions):
            prices.set(group.members, self._price(group.kind, names[group.lane], group.like, group.sizes))
        return self._priced(ops, lanes, classes, prices)

    def _one_by_one(self, ops: Ops, lanes: tuple[Lane, ...]) -> Priced:
        names = [lane.name for lane in lanes]
        kinds_of_block = block_classes(self._model)[np.clip(ops.layer, 0, None)]
        columns = (ops.kind, ops.lane, kinds_of_block, routed(ops), ops.tokens, ops.context, ops.sequences)
        rows = zip(*(column.tolist() for column in (*columns, ops.size_bytes)), strict=True)
        priced = [self._like(ops, op, names[row[1]], row) for op, row in enumerate(rows)]
        each = np.arange(len(ops))
        return self._priced(ops, lanes, OpClasses(each, each), Prices.of(priced, len(self.capacities)))

    def _priced(self, ops: Ops, lanes: tuple[Lane, ...], classes: OpClasses, prices: Prices) -> Priced:
        first = classes.first
        queue_s = np.array([self._stack.queue_s * (lane.discipline == "priority") for lane in lanes], np.float64)
        return Priced(
            classes=classes,
            stated_s=ops.stated_s,
            seconds=prices.seconds + queue_s[ops.lane[first]],
            dispatch_s=self._dispatch_s[ops.kind[first]] / np.where(routed(ops)[first], self._kernels.share(0), 1),
            handoff_s=np.array([self.handoff_s(lane.name) for lane in lanes], np.float64)[ops.lane[first]],
            demand=prices.demand,
            held=prices.held,
            origin=prices.origin,
            spread=prices.spread,
            drift=np.where(
                np.isin(ops.kind[first], (*COMPUTE, *_TRANSFER)),
                np.array([self._drift(lane.name) for lane in lanes], np.float64)[ops.lane[first]],
                0.0,
            ),
            origins=tuple(prices.origins),
            stack_spread=self._stack.spread,  # type: ignore[arg-type]  # its keys are some strings
            capacities=self.capacities,
            capacity_spread=tuple(self.machine.capacity_spread.get(name, {}) for name in self.machine.capacities),
        )

    def _drift(self, lane: str) -> float:
        """How much the memory under a lane's kernels or copies changes its speed."""
        profile = self.machine.lanes.get(lane)
        return 0.0 if profile is None else self.machine.drift.get(profile.device, 0.0)

    def op(self, kind: Kind, lane: str, work: OpSize) -> OpCost:
        """Cost of one op, also for strategies that weigh two ways of doing a thing."""
        self.asked = True
        key = (kind, lane, work)
        if key not in self._known:
            _make_room(self._known)
            priced = self._price(kind, lane, work, sizes_of(self._model, self._precisions, kind, [work]))
            self._known[key] = priced.one()
        return self._known[key]

    def dispatch_s(self, kind: Kind) -> float:
        """Host seconds to dispatch an op of this kind."""
        self.asked = True
        table = self._stack.dispatch_s
        return table.get(kind.name.lower(), table.get("default", 0.0))

    def handoff_s(self, lane: str) -> float:
        """Seconds that a lane takes to wake up for an op; the host lane is never asleep."""
        if lane == HOST or lane not in self.machine.lanes:
            return 0.0
        return self._stack.handoff_s.get(self.machine.lanes[lane].device, 0.0)

    def _like(self, ops: Ops, op: int, lane: str, row: tuple[int, ...]) -> OpCost:
        """The price of an op that was the same in all that matters, if there was one."""
        known = self._alike.get((lane, *row))
        if known is None:
            _make_room(self._alike)
            sizes = (ops.layer, ops.expert, ops.tokens, ops.context, ops.sequences, ops.size_bytes)
            size = OpSize(*(int(column[op]) for column in sizes))
            known = self._alike[(lane, *row)] = self.op(Kind(ops.kind[op]), lane, size)
        return known

    def _price(self, kind: Kind, lane: str, like: OpSize, sizes: Sizes) -> PriceColumns:
        """What ops cost that differ in their sizes only."""
        n, capacities = len(sizes.tokens), self.machine.capacities
        none = np.zeros((n, len(capacities)))
        if kind == Kind.WAIT:
            spread = np.full(n, self._stack.spread.get("sync", 0.0))
            return PriceColumns(np.full(n, self._stack.sync_s), spread, none, none, [origins.SYNC] * n)
        if kind not in COMPUTE and kind not in _TRANSFER:
            return PriceColumns(np.zeros(n), np.zeros(n), none, none, [origins.SOFTWARE] * n)
        if lane not in self.machine.lanes:
            raise InputError(
                f"machine {self.machine.name} has no such lane",
                field="lane",
                value=lane,
                remedy=f"it has {', '.join(self.machine.lanes)}",
            )
        profile = self.machine.lanes[lane]
        origin: Sequence[str]
        if kind in _TRANSFER:
            link = self._link(kind, lane)
            seconds, spread = self._copy_s(link, sizes.size_bytes)
            moved, traffic = sizes.size_bytes.astype(np.float64), link.traffic
            origin = [origins.of_link(self.machine, link)] * n
        else:
            seconds, spread, origin = self._kernels.cost(profile.device, kind, like, sizes)
            moved, traffic = sizes.read_bytes, self.machine.devices[profile.device].traffic
        rate = np.divide(moved, seconds, out=np.zeros(n), where=seconds > 0)
        held, demand = none.copy(), none.copy()
        for c, (name, most) in enumerate(capacities.items()):
            used = profile.uses.get(name, 0.0)
            held[:, c] = min(most, used)
            demand[:, c] = np.minimum(most, used + traffic.get(name, 0.0) * rate)  # alone, an op is at full speed
        return PriceColumns(seconds, spread, demand, held, origin)

    def _link(self, kind: Kind, lane: str) -> Link:
        """The link behind a transfer lane: `….h2d`, `….d2h`, or storage; copies as the stack makes them."""
        direction = "read" if kind == Kind.READ else lane.rsplit(".", 1)[-1]
        memory = "storage" if kind == Kind.READ else self._stack.copies
        for link in self.machine.links:
            if (link.direction, link.memory) == (direction, memory):
                return link
        raise InputError(
            f"machine {self.machine.name} has no {memory} link in this direction",
            field="links",
            value=direction,
            remedy="choose a stack whose copies the machine file knows, or add the link",
        )

    def _copy_s(self, link: Link, size_bytes: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Seconds and their spread."""
        if size_bytes.max() > link.curve.x[-1]:
            self.warnings[f"{link.direction} copies above {link.curve.x[-1]:.3g} bytes are extrapolated"] = None
        return read_points(link.curve, size_bytes.astype(np.float64))


def _make_room(known: dict[Any, OpCost]) -> None:
    if len(known) >= _MOST_KNOWN:
        known.clear()


def costs_of(schedule: Schedule, machine: Machine, stack: str | None = None) -> Costs:
    """Costs of a whole schedule."""
    return CostModel(machine, schedule.model, schedule.precisions, stack).of_schedule(schedule)
