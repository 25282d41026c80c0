"""Bounds: times that no strategy can beat on this machine, each with its reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.balance import Balance, Task, balance
from sim.cost import CostModel
from sim.errors import InputError
from sim.kernel_cost import OpSize
from sim.least_loads import least_misses
from sim.needs import needs
from sim.notebook import shown, why
from sim.price_columns import OpCost
from sim.program import CPU, GPU, H2D
from sim.schedule import Kind, Schedule
from sim.work import work

Floats = NDArray[np.float64]
_NEVER = float("inf")


@shown(why.bounds_card)
@dataclass(frozen=True)
class Bounds:
    """Lower bounds in seconds on a run's makespan. docs/why.md proves each; all take an op's price at full speed.

    compute_s: all weights everywhere from the start. GPU and CPU share the experts of each block, or, if blocks may
        overlap (not `serial`), of the whole run.
    link_s: the least loads, over the link one after the other; only for runs that compute no expert on the CPU.
    balance_s: the same together: what is neither a hit nor computed on the CPU is loaded, and GPU, CPU, link and
        shared capacities work at once. For all runs.
    bandwidth_s: the bytes of weights, caches and activations, at the best rate at which GPU and CPU read any here.
    dispatch_s: the host hands over what every run needs, and waits for each step's head. It belongs to the software
        stack, and not to `limit_s`.
    least_misses: uses, of `n_uses`, that find their expert in none of `n_slots` slots with the best placement and
        eviction. `on_cpu` and `loads`: how the best split deals with them. `shares`: the limit's elasticity to the
        speed of compute, of the link and of each shared capacity.
    """

    compute_s: float
    link_s: float
    balance_s: float
    bandwidth_s: float
    dispatch_s: float
    n_slots: int
    n_uses: int
    least_misses: int
    load_s: float
    on_cpu: float
    loads: float
    serial: bool
    shares: dict[str, float]

    @property
    def limit_s(self) -> float:
        """The physical limit: the highest of those that hold for every strategy and every software."""
        return max(self.compute_s, self.balance_s, self.bandwidth_s)

    @property
    def bound_by(self) -> str:
        """What the limit would gain most by: compute, link or a shared capacity."""
        return max(self.shares, key=lambda name: self.shares[name])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"limit_s": self.limit_s, **asdict(self)}


def bounds(schedule: Schedule, prices: CostModel, *, n_slots: int | None = None) -> Bounds:
    """The bounds on every strategy that computes what this schedule computes, with `n_slots` experts on the GPU.

    Of a strategy that follows the router that is the trace, and blocks run one after the other; of one that may run
    other experts, or the right ones on an older state (`Schedule.meta["fidelity"]`), it is what it has executed, and
    its blocks may overlap. Default for `n_slots`: as many as it has.
    """
    return Bounder(schedule, prices).bounds(schedule.n_slots if n_slots is None else n_slots)


class Bounder:
    """The bounds of one run's needs, for any number of slots. `serial`: blocks cannot overlap."""

    def __init__(self, schedule: Schedule, prices: CostModel) -> None:
        self.schedule, self.prices = schedule, prices
        self.serial = "fidelity" not in schedule.meta
        self.needs = needs(schedule)
        self.costs = prices.of_schedule(schedule)

    def bounds(self, n_slots: int) -> Bounds:
        """All of them; see `Bounds`."""
        model = self.schedule.model
        key = self.needs.layer * model.n_experts + self.needs.expert
        misses = least_misses(self.needs.visit, key, n_slots)
        load = self.load
        best = balance(self.task(misses, load))
        names = ("compute", "link", *self.prices.machine.capacities)
        return Bounds(
            compute_s=self.compute.seconds,
            link_s=misses * load.seconds,
            balance_s=best.seconds,
            bandwidth_s=self.bandwidth_s,
            dispatch_s=self.dispatch_s,
            n_slots=n_slots,
            n_uses=self.needs.n_uses,
            least_misses=misses,
            load_s=load.seconds,
            on_cpu=best.on_cpu,
            loads=best.loads,
            serial=self.serial,
            shares=dict(zip(names, best.shares, strict=True)),
        )

    @cached_property
    def load(self) -> OpCost:
        """One expert's weights on their way to the GPU."""
        size_bytes = self.schedule.model.expert_bytes(self.schedule.precisions.experts)
        layer = self.schedule.model.moe_layers[0]
        return self.prices.op(Kind.LOAD, H2D, OpSize(layer, 0, size_bytes=size_bytes))

    @cached_property
    def compute(self) -> Balance:
        """The best split of compute alone."""
        free = OpCost(0.0, (0.0,) * len(self.costs.capacities))
        return balance(self.task(0, free))

    @cached_property
    def dispatch_s(self) -> float:
        """Host seconds that no strategy saves under this stack."""
        ops = self.schedule.ops
        needed = np.concatenate((self.needs.model_ops, self.needs.op))
        a_wait = self.prices.dispatch_s(Kind.WAIT) + self.prices.op(Kind.WAIT, "host", OpSize(-1)).seconds
        heads = int((ops.kind[self.needs.model_ops] == Kind.HEAD).sum())
        return float(self.costs.dispatch_s[needed].sum()) + heads * a_wait

    @cached_property
    def bandwidth_s(self) -> float:
        """Bytes over the best rate at which each device reads any of them."""
        read = _read_bytes(self.schedule)
        model_ops = self.needs.model_ops
        own, gpu_rate = read[model_ops], _best_rate(read[model_ops], self.costs.duration_s[model_ops])
        experts = read[self.needs.op]
        gpu_rate, cpu_rate = max(gpu_rate, _best_rate(experts, self.gpu_s)), _best_rate(experts, self.cpu_s)
        if not gpu_rate:
            return 0.0
        return max(float(own.sum()) / gpu_rate, float(own.sum() + experts.sum()) / (gpu_rate + cpu_rate))

    # -- the linear program --------------------------------------------------------------------------------

    def task(self, misses: int, load: OpCost) -> Task:
        """What there is to be balanced: visits that are alike are one group, or all are one if blocks may overlap."""
        group, own_s, fixed_s = self._groups
        n_groups = int(group.max(initial=-1)) + 1
        n_classes = len(self._gpu_cost)
        pairs, total = np.unique(group[self.needs.visit] * n_classes + self.use_class, return_counts=True)
        of_group, of_class = pairs // n_classes, pairs % n_classes
        count = np.bincount(group, minlength=n_groups).astype(np.float64) if self.serial else np.ones(n_groups)
        capacities = np.array(self.costs.capacities)
        cpu = self._cpu_cost[of_class]
        return Task(
            fixed_s=fixed_s,
            count=count,
            own_s=np.bincount(group, own_s, n_groups) / count if len(group) else np.zeros(n_groups),
            group=of_group,
            uses=total / count[of_group],
            gpu_s=self._gpu_cost[of_class, 0],
            cpu_s=cpu[:, 0],
            draw=np.where(np.isfinite(cpu[:, :1]), cpu[:, :1], 0.0) * cpu[:, 1:] / capacities,
            misses=misses,
            load_s=load.seconds,
            load_draw=load.seconds * np.array(load.demand) / capacities,
        )

    @cached_property
    def _groups(self) -> tuple[NDArray[np.int64], Floats, float]:
        """Of each visit its group and the GPU's own seconds in it; and the seconds outside all visits.

        Attention, combination, head and dense FFNs wait for the block before, experts and all: nothing overlaps them.
        The gate and a shared expert may run while the CPU computes.
        """
        n = self.needs
        seconds, inside = self.costs.duration_s[n.model_ops], n.visit_of >= 0
        own_s = np.bincount(n.visit_of[inside], seconds[inside], n.n_visits).astype(np.float64)
        outside_s = float(seconds[~inside].sum())
        group: NDArray[np.int64] = np.zeros(n.n_visits, np.int64)
        if not n.n_visits:
            return group, own_s, outside_s
        if not self.serial:
            own_s[:] = float(seconds.sum()) / n.n_visits
            return group, own_s, 0.0
        for number in range(len(self._gpu_cost)):
            uses = np.bincount(n.visit[self.use_class == number], minlength=n.n_visits)
            _, group = np.unique(group * (uses.max() + 1) + uses, return_inverse=True)
        return group, own_s, outside_s

    @property
    def gpu_s(self) -> Floats:
        """Seconds of each use on the GPU."""
        seconds: Floats = self._gpu_cost[self.use_class, 0]
        return seconds

    @property
    def cpu_s(self) -> Floats:
        """Seconds of each use on the CPU; infinite where it cannot run experts."""
        seconds: Floats = self._cpu_cost[self.use_class, 0]
        return seconds

    @cached_property
    def use_class(self) -> NDArray[np.intp]:
        """Number of each use's size, which is all that its price depends on."""
        return self._sizes[1]

    @cached_property
    def _sizes(self) -> tuple[list[tuple[int, int]], NDArray[np.intp]]:
        both = np.stack((self.needs.tokens, self.needs.sequences), axis=1)
        sizes, which = np.unique(both, axis=0, return_inverse=True)
        return [(tokens, sequences) for tokens, sequences in sizes.tolist()], which.reshape(-1).astype(np.intp)

    @cached_property
    def _gpu_cost(self) -> Floats:
        return self._cost_on(GPU)

    @cached_property
    def _cpu_cost(self) -> Floats:
        try:
            return self._cost_on(CPU)
        except InputError:  # the machine has no CPU that runs experts
            return np.full(self._gpu_cost.shape, [[_NEVER, *(0.0 for _ in self.costs.capacities)]])

    def _cost_on(self, lane: str) -> Floats:
        """[size, (seconds, demand on each capacity)]"""
        layer = self.schedule.model.moe_layers[0]
        priced = [
            self.prices.op(Kind.EXPERT, lane, OpSize(layer, 0, tokens=tokens, sequences=sequences))
            for tokens, sequences in self._sizes[0]
        ]
        rows = [(cost.seconds, *cost.demand) for cost in priced]
        return np.array(rows, np.float64).reshape(len(rows), 1 + len(self.costs.capacities))


def _read_bytes(schedule: Schedule) -> Floats:
    """Bytes that each compute op reads; 0 for others."""
    ops, classes = schedule.ops, schedule.classes
    read = np.zeros(len(classes))
    for i, op in enumerate(classes.first.tolist()):
        kind = Kind(ops.kind[op])
        if kind in (Kind.ATTENTION, Kind.GATE, Kind.EXPERT, Kind.COMBINE, Kind.HEAD):
            read[i] = work(
                schedule.model, kind.name.lower(), int(ops.layer[op]), expert=int(ops.expert[op]),
                tokens=int(ops.tokens[op]), context=int(ops.context[op]), sequences=int(ops.sequences[op]),
                precisions=schedule.precisions,
            ).read_bytes  # fmt: skip
    return read[classes.which]


def _best_rate(read: Floats, seconds: Floats) -> float:
    timed = (seconds > 0) & np.isfinite(seconds)
    return float((read[timed] / seconds[timed]).max(initial=0.0))
