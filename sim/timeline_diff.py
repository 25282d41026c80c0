"""The difference of two Timelines of the same work: op by op where they do the same, and along their critical paths."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.critical_path import Path, critical_path
from sim.errors import InputError
from sim.notebook import shown, why
from sim.schedule import Kind, Ops, Reason, Schedule
from sim.timeline import Timeline


@dataclass(frozen=True)
class Alignment:
    """Pairs [pair] of ops of A and B that do the same thing, and the ops that only one of them has."""

    a: NDArray[np.intp]
    b: NDArray[np.intp]
    only_a: NDArray[np.intp]
    only_b: NDArray[np.intp]


@dataclass(frozen=True)
class KindChange:
    """One kind of op on one lane: how many there are, and their seconds, in A and in B."""

    kind: str
    lane: str
    count_a: int
    count_b: int
    a_s: float
    b_s: float


@shown(why.difference_card)
@dataclass(frozen=True)
class Difference:
    """What changed from A to B.

    `causes` are the seconds of both critical paths by cause, the largest change first: their changes sum to that of
    the makespan. `kinds`: busy time, in the same order. `reasons` counts the routed experts, aligned, that both compute
    for different reasons, by (reason in A, reason in B). `step_s` [step] is what each step takes longer in B.
    `paths` are the critical paths of both.
    """

    a_s: float
    b_s: float
    causes: dict[str, tuple[float, float]]
    kinds: tuple[KindChange, ...]
    alignment: Alignment
    reasons: dict[tuple[str, str], int]
    step_s: NDArray[np.float64]
    paths: tuple[Path, Path]


def difference(a: Timeline, b: Timeline) -> Difference:
    """Compare two timelines; raises InputError if they are not of the same steps of the same model."""
    if a.schedule.model != b.schedule.model or _passes(a.schedule) != _passes(b.schedule):
        raise InputError(
            "the timelines are of different work",
            field="steps",
            value=f"{len(a.schedule.steps)} and {len(b.schedule.steps)}",
            remedy="compare two strategies, or two machines, on one model and one trace",
        )
    paths = critical_path(a), critical_path(b)
    path_a, path_b = (path.seconds("cause") for path in paths)
    causes = {name: (path_a.get(name, 0.0), path_b.get(name, 0.0)) for name in {**path_a, **path_b}}
    alignment = align(a.schedule.ops, b.schedule.ops)
    return Difference(
        a_s=a.makespan_s,
        b_s=b.makespan_s,
        causes=dict(sorted(causes.items(), key=lambda item: -abs(item[1][1] - item[1][0]))),
        kinds=_kinds(a, b),
        alignment=alignment,
        reasons=_reasons(a.schedule.ops, b.schedule.ops, alignment),
        step_s=np.diff(b.step_end_s, prepend=0.0) - np.diff(a.step_end_s, prepend=0.0),
        paths=paths,
    )


def align(a: Ops, b: Ops) -> Alignment:
    """Pair ops of one kind, step, block and expert, the first with the first and so on, whichever lane they are on."""
    key_a, key_b = _keys([a, b])
    _, in_a, in_b = np.intersect1d(key_a, key_b, assume_unique=True, return_indices=True)
    order = np.argsort(in_a)
    in_a, in_b = in_a[order].astype(np.intp), in_b[order].astype(np.intp)
    only_a, only_b = (np.setdiff1d(np.arange(len(ops)), mine) for ops, mine in ((a, in_a), (b, in_b)))
    return Alignment(in_a, in_b, only_a.astype(np.intp), only_b.astype(np.intp))


def _keys(both: list[Ops]) -> list[NDArray[np.int64]]:
    """A number for each op of each block, shared by those that are to be paired."""
    code = np.zeros(sum(map(len, both)), np.int64)
    for name in ("step", "layer", "kind", "expert"):
        column = np.concatenate([getattr(ops, name).astype(np.int64) for ops in both])
        _, code = np.unique(
            code * (np.ptp(column) + 1 if len(column) else 1) + column - column.min(initial=0), return_inverse=True
        )
    keys = []
    for part in np.split(code, [len(both[0])]):
        order = np.argsort(part, kind="stable")
        begins = np.concatenate(([True], part[order][1:] != part[order][:-1]))[: len(part)]
        place = np.arange(len(part))
        nth = np.empty(len(part), np.int64)
        nth[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
        keys.append(part * (len(code) + 1) + nth)
    return keys


def _passes(schedule: Schedule) -> list[tuple[int, int, int]]:
    return [(step.phase, step.sequences, step.tokens) for step in schedule.steps]


def _kinds(a: Timeline, b: Timeline) -> tuple[KindChange, ...]:
    found_a, found_b = _busy(a), _busy(b)
    rows = [
        KindChange(
            *name,
            found_a.get(name, (0, 0.0))[0],
            found_b.get(name, (0, 0.0))[0],
            found_a.get(name, (0, 0.0))[1],
            found_b.get(name, (0, 0.0))[1],
        )
        for name in {**found_a, **found_b}
    ]
    return tuple(sorted(rows, key=lambda row: -abs(row.b_s - row.a_s)))


def _busy(timeline: Timeline) -> dict[tuple[str, str], tuple[int, float]]:
    """By kind and lane: how many ops ran, and for how long; a wait lasts as long as the others make it."""
    ops, times, lanes = timeline.schedule.ops, timeline.times, timeline.schedule.lanes
    ran = ~times.cancelled & ~np.isin(ops.kind, (Kind.WAIT, Kind.CANCEL))
    code = ops.kind[ran].astype(np.int64) * len(lanes) + ops.lane[ran]
    counts = np.bincount(code)
    seconds = np.bincount(code, (times.end_s - times.start_s)[ran])
    return {
        (Kind(i // len(lanes)).name.lower(), lanes[i % len(lanes)].name): (int(counts[i]), float(seconds[i]))
        for i in np.flatnonzero(counts).tolist()
    }


def _reasons(a: Ops, b: Ops, pairs: Alignment) -> dict[tuple[str, str], int]:
    routed = (a.kind[pairs.a] == Kind.EXPERT) & (a.expert[pairs.a] >= 0)
    changes = Counter(zip(a.reason[pairs.a][routed].tolist(), b.reason[pairs.b][routed].tolist(), strict=True))
    return {
        (Reason(before).name.lower(), Reason(after).name.lower()): count
        for (before, after), count in changes.most_common()
        if before != after
    }
