"""Balance: how work is best split between GPU, CPU and link, as a linear program whose dual certifies the bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """Groups of equal work: a group [group] is `count` stretches of time, of which no two of any group overlap.

    In each stretch the GPU works `own_s` on what only it can do; the experts of the stretch are in classes [class] of
    group `group`, `uses` of them in each, every one of which takes `gpu_s` there or `cpu_s` on the CPU (inf: never).
    `fixed_s`: time outside all stretches. `misses`: so many uses, at least, are loaded in `load_s` each unless the CPU
    runs them. `draw` [class, capacity] and `load_draw` [capacity]: what a use on the CPU, and a load, take of each
    shared capacity, in seconds of all of it.
    """

    fixed_s: float
    count: Floats
    own_s: Floats
    group: NDArray[np.intp]
    uses: Floats
    gpu_s: Floats
    cpu_s: Floats
    draw: Floats
    misses: int
    load_s: float
    load_draw: Floats

    @property
    def weight(self) -> Floats:
        """Stretches of each class's group."""
        return self.count[self.group]


@dataclass(frozen=True)
class Balance:
    """No split takes less than `seconds`. `on_cpu`, `loads`: uses of the best split, as fractions of uses go.

    `shares`: what the limit would gain, relative to itself, per relative gain in speed of compute, link and each
    capacity (the elasticities; they sum to one).
    """

    seconds: float
    on_cpu: float
    loads: float
    shares: tuple[float, ...]


def balance(task: Task) -> Balance:
    """Solve the program and bound it from below by its own dual prices, which need not be exact to be right."""
    found = _solve(task)
    prices = -np.asarray(found.ineqlin.marginals, np.float64)
    y = np.asarray(found.x[2 + len(task.count) :], np.float64)
    seconds, shares = _certified(task, prices)
    return Balance(seconds, float(task.weight @ y), float(found.x[1]), shares)


def _solve(task: Task) -> OptimizeResult:
    """Variables: T, loads, seconds [group], uses on the CPU [class]. Rows: serial, link, capacities, misses, GPU, CPU.

    T >= fixed_s + sum of count * seconds; T >= load_s * loads; T >= draws on each capacity; loads + uses on the CPU >=
    misses; seconds of a group >= what its GPU does; >= what its CPU does.
    """
    from scipy.optimize import linprog  # here, for they take a while to import
    from scipy.sparse import csr_array

    n_groups, n_classes, n_caps = len(task.count), len(task.uses), len(task.load_draw)
    able = np.isfinite(task.cpu_s)
    cpu_s = np.where(able, task.cpu_s, 0.0)
    y, seconds = 2 + n_groups + np.arange(n_classes), 2 + np.arange(n_groups)
    first = 3 + n_caps  # row of the first group
    entries = [
        (np.zeros(n_groups), seconds, task.count),
        (np.arange(2 + n_caps), np.zeros(2 + n_caps), np.full(2 + n_caps, -1.0)),
        (np.full(1, 1), np.ones(1), np.full(1, task.load_s)),
        (2 + np.arange(n_caps), np.ones(n_caps), task.load_draw),
        *((np.full(n_classes, 2 + c), y, task.weight * task.draw[:, c]) for c in range(n_caps)),
        (np.full(1, 2 + n_caps), np.ones(1), np.full(1, -1.0)),
        (np.full(n_classes, 2 + n_caps), y, -task.weight),
        (first + np.arange(n_groups), seconds, np.full(n_groups, -1.0)),
        (first + task.group, y, -task.gpu_s),
        (first + n_groups + np.arange(n_groups), seconds, np.full(n_groups, -1.0)),
        (first + n_groups + task.group, y, cpu_s),
    ]
    rows, columns, values = (np.concatenate(part) for part in zip(*entries, strict=True))
    shape = first + 2 * n_groups, 2 + n_groups + n_classes
    on_gpu = task.own_s + np.bincount(task.group, task.uses * task.gpu_s, n_groups)
    limits = np.concatenate(([-task.fixed_s], np.zeros(1 + n_caps), [-float(task.misses)], -on_gpu, np.zeros(n_groups)))
    most = np.where(able, task.uses, 0.0)
    bounds = np.array([(0.0, np.inf)] * (2 + n_groups) + [(0.0, m) for m in most.tolist()])
    cost = np.zeros(shape[1])
    cost[0] = 1.0
    found = linprog(cost, csr_array((values, (rows, columns)), shape), limits, bounds=bounds, method="highs")
    if found.status != 0:
        raise ArithmeticError(f"HiGHS found no split: {found.message}")
    return found


def _certified(task: Task, prices: Floats) -> tuple[float, tuple[float, ...]]:
    """A lower bound by weak duality: any weights of the rows give one, so that a solver's tolerance cannot break it."""
    n_groups, n_caps = len(task.count), len(task.load_draw)
    prices = np.maximum(prices, 0.0)
    of_rows = prices[: 2 + n_caps]
    of_rows = of_rows / of_rows.sum() if of_rows.sum() else np.eye(2 + n_caps)[0]
    serial, link, caps = of_rows[0], of_rows[1], of_rows[2:]
    a_load = link * task.load_s + caps @ task.load_draw
    a_miss = min(prices[2 + n_caps], a_load)
    gpu, cpu = np.split(prices[3 + n_caps :], 2)
    both = gpu + cpu
    gpu = np.divide(gpu, both, out=np.ones(n_groups), where=both > 0)
    weight, share = task.weight, gpu[task.group]
    able = np.isfinite(task.cpu_s)
    cpu_s = np.where(able, task.cpu_s, 0.0)
    a_use = weight * (serial * ((1 - share) * cpu_s - share * task.gpu_s) + task.draw @ caps - a_miss)
    on_gpu = task.own_s + np.bincount(task.group, task.uses * task.gpu_s, n_groups)
    computing = serial * (task.fixed_s + float((task.count * gpu) @ on_gpu))
    saved = np.where(able, np.minimum(a_use, 0.0) * task.uses, 0.0).sum()
    return max(0.0, float(computing + a_miss * task.misses + saved)), tuple(of_rows.tolist())
