"""How much lanes slow each other: pairs run together, and the memory bandwidth that explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from calibrate.condition import tagged
from calibrate.journal import Samples
from calibrate.probe import probe_model, side_by_side
from calibrate.units import Unit
from hwexec.backend import Backend
from hwexec.dispatch import run_once
from sim.model import MoEModel
from sim.precision import Precisions
from sim.schedule import Schedule
from sim.timeline import Times

WORKERS = {"gpu": "gpu0", "cpu": "cpu", "copy": "gpu0.h2d"}
PAIRS = tuple(combinations(WORKERS, 2))
_LANES = {**WORKERS, "down": "gpu0.d2h"}
COPY_PASSES = 2.0  # a copy reads and writes every byte
_ROUNDS = 2
_FIRST_OPS, _LEAST_OPS, _MOST_OPS = 12, 6, 64
_TARGET_S = 0.06


def together(who: str, others: tuple[str, ...]) -> str:
    """Name of the samples of one worker while these others work too."""
    return f"{who} beside {'+'.join(sorted(others)) or 'nobody'}"


def sharing_units(
    backend: Backend, model: MoEModel, precisions: Precisions, budget_s: float,
    pairs: Sequence[tuple[str, str]] = PAIRS,
) -> list[Unit]:  # fmt: skip
    """Every worker of some pairs alone, then every pair, in rounds."""
    groups = [*((who,) for who in dict.fromkeys(chain(*pairs))), *pairs]
    share_s = budget_s / (len(groups) * _ROUNDS)
    cut = probe_model(model)
    return [
        Unit(f"{' + '.join(group)} round {turn}", share_s, partial(_measure, backend, cut, precisions, group), turn > 0)
        for turn in range(_ROUNDS)
        for group in groups
    ]


def _measure(
    backend: Backend, model: MoEModel, precisions: Precisions, group: tuple[str, ...], budget_s: float, known: Samples
) -> Samples:
    schedule = side_by_side(model, precisions, _counts(group, known))
    samples: Samples = {}
    began = perf_counter()
    with backend.prepare(schedule) as prepared:
        run_once(schedule, prepared)
        while not samples or perf_counter() - began < budget_s:
            before = prepared.condition()
            times = run_once(schedule, prepared)
            read_s = 1 / min(before["read_bytes_per_s"], prepared.condition()["read_bytes_per_s"])
            for who in group:
                others = tuple(other for other in group if other != who)
                seconds = overlapped_s(schedule, times, who, group)
                for name, values in tagged(together(who, others), seconds, [read_s] * len(seconds)).items():
                    samples.setdefault(name, []).extend(values)
    return samples


def _counts(group: tuple[str, ...], known: Samples) -> dict[str, int]:
    """So many ops of each worker that all are busy for about equally long."""
    counts = {}
    for who in group:
        alone = known.get(together(who, ()))
        wanted = _TARGET_S / float(np.median(alone)) if alone else _FIRST_OPS
        counts[who] = int(min(_MOST_OPS, max(_LEAST_OPS, wanted)))
    return counts


def overlapped_s(schedule: Schedule, times: Times, who: str, group: tuple[str, ...]) -> list[float]:
    """Seconds of a worker's ops that ran while all of the group were at work, the first of each lane left out."""
    rows = {member: _ops_of(schedule, member)[1:] for member in group}
    begin = max(float(times.start_s[ops].min()) for ops in rows.values())
    end = min(float(times.end_s[ops].max()) for ops in rows.values())
    mine = rows[who]
    inside = mine[(times.start_s[mine] >= begin) & (times.end_s[mine] <= end)]
    return [float(s) for s in times.end_s[inside] - times.start_s[inside]]


def _ops_of(schedule: Schedule, who: str) -> NDArray[np.intp]:
    return np.flatnonzero(schedule.ops.lane == schedule.lane_index[_LANES[who]])


@dataclass(frozen=True)
class Shared:
    """The capacity that pairs on different cores share, in bytes a second, and how well it explains them.

    `slowdowns` maps "worker beside other" to (measured, explained) factors.
    """

    bytes_per_s: float
    slowdowns: dict[str, tuple[float, float]]

    @property
    def spread(self) -> float:
        """How far off the capacity may be: half of the pairs are explained worse, either way; 0 if there is none."""
        off = [abs(np.log(measured / explained)) for measured, explained in self.slowdowns.values()]
        return 2 * float(np.sinh(np.median(off))) if off else 0.0


def fit_shared(samples: Samples, moved_bytes: Mapping[str, float], cores: Mapping[str, int]) -> Shared:
    """The memory bandwidth that the host backend's lanes share. Pairs on one core tell nothing about memory.

    `moved_bytes`: through memory for one op of each worker.
    """
    pairs = [(a, b) for a, b in PAIRS if cores[WORKERS[a]] != cores[WORKERS[b]]]
    return fit_capacity(samples, moved_bytes, pairs)


def fit_capacity(samples: Samples, moved_bytes: Mapping[str, float], pairs: Sequence[tuple[str, str]]) -> Shared:
    """Find the capacity under which demands in proportion explain the slow-downs best (least squares of logarithms)."""
    alone = {who: float(np.median(samples[together(who, ())])) for who in moved_bytes}
    rate = {who: moved_bytes[who] / alone[who] for who in moved_bytes}
    measured = slowdowns(samples, pairs)
    if not measured:
        return Shared(sum(rate.values()), {})
    demand = {
        together(who, (other,)): rate[a] + rate[b]
        for a, b in pairs
        for who, other in ((a, b), (b, a))
        if together(who, (other,)) in measured
    }
    capacity = _best_capacity(np.array([demand[name] for name in measured]), np.array(list(measured.values())))
    return Shared(capacity, {name: (slow, max(1.0, demand[name] / capacity)) for name, slow in measured.items()})


def slowdowns(samples: Samples, pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """By how much each worker of each pair was slower than alone, by the name of its samples."""
    found = {}
    for pair in pairs:
        for who, other in (pair, pair[::-1]):
            seconds = samples.get(together(who, (other,)))
            if seconds:
                found[together(who, (other,))] = float(np.median(seconds) / np.median(samples[together(who, ())]))
    return found


def _best_capacity(demand: NDArray[np.float64], slowdown: NDArray[np.float64]) -> float:
    """On a fine grid from where all pairs contend to where none does."""
    grid = np.geomspace(demand.min() / max(2.0, slowdown.max()), demand.max(), 400)
    explained = np.maximum(1.0, demand[:, None] / grid)
    misfit = (np.log(explained) - np.log(np.maximum(slowdown, 1.0))[:, None]) ** 2
    return float(grid[misfit.sum(axis=0).argmin()])
