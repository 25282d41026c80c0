"""Who waits for whom when a Schedule runs for real, without what program order and fifo lanes grant anyway."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.schedule import Kind, Schedule


@dataclass(frozen=True)
class Graph:
    """Per op: how many events make it ready and the ops that its end is an event for; per lane: its ops in order.

    An op off the host counts its own dispatch as one event. A dependency on a host op is granted, since the host
    is in program order, and so is one on an earlier op of the same fifo lane.
    """

    needs: list[int]
    waiters: list[tuple[int, ...]]
    lane_ops: list[list[int]]
    cancellable: frozenset[int]


def graph_of(schedule: Schedule, streams: frozenset[int] = frozenset()) -> Graph:
    """Derive the graph; equal dependencies of an op count once.

    What a lane of `streams` waits for, and who waits for it, is left out: the hardware knows (`hwexec.wiring`).
    """
    ops, n = schedule.ops, len(schedule)
    lane = ops.lane.astype(np.int64)
    owner = np.repeat(np.arange(n), np.diff(ops.deps.offsets))
    target = ops.deps.values
    fifo = np.array([spec.discipline == "fifo" for spec in schedule.lanes])
    cancels = ops.kind == Kind.CANCEL
    counts = (lane[target] != 0) & ~((lane[target] == lane[owner]) & fifo[lane[owner]]) & ~cancels[owner]
    if streams:
        counts &= ~np.isin(lane[target], list(streams)) & ~np.isin(lane[owner], list(streams))
    edges = np.unique(np.stack([target[counts], owner[counts]], axis=1), axis=0)  # sorted by target
    needs = np.bincount(edges[:, 1], minlength=n) + (lane != 0)
    first = np.searchsorted(edges[:, 0], np.arange(n + 1))
    owners = edges[:, 1].tolist()
    return Graph(
        needs=needs.tolist(),
        waiters=[tuple(owners[a:b]) for a, b in zip(first.tolist(), first[1:].tolist(), strict=False)],
        lane_ops=[np.flatnonzero(lane == number).tolist() for number in range(len(schedule.lanes))],
        cancellable=frozenset(target[cancels[owner] & (lane[target] != 0)].tolist()),
    )
