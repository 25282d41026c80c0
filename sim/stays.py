"""Stays: which expert's weights were in which GPU slot, and from when to when."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.schedule import Kind
from sim.timeline import Timeline


class Stays(NamedTuple):
    """What the expert slots held, slot by slot and in order of time: arrays [stay]; `layer` is the block.

    The weights are on their way from `asked_s` to `whole_s`, and there until `until_s`: the end of their copy back and
    of whoever reads them still or, without a copy, the start of the slot's next load.
    """

    layer: NDArray[np.int64]
    expert: NDArray[np.int64]
    asked_s: NDArray[np.float64]
    whole_s: NDArray[np.float64]
    until_s: NDArray[np.float64]


def stays(timeline: Timeline) -> Stays:
    """All stays of a run; what slots hold from the start is there from 0 s on, cancelled loads bring nothing."""
    schedule, times = timeline.schedule, timeline.times
    ops, start = schedule.ops, np.array(schedule.start_slots, np.int64).reshape(-1, 2)
    users = np.flatnonzero((ops.slot >= 0) & ~times.cancelled)
    order = np.argsort(np.concatenate((np.arange(len(start)), ops.slot[users])), kind="stable")

    def column(at_start: Any, of_ops: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate((np.broadcast_to(at_start, len(start)), of_ops[users]))[order]

    kind = column(Kind.LOAD, ops.kind)
    first = np.flatnonzero(kind == Kind.LOAD)
    if not len(first):
        return Stays(*np.zeros((2, 0), np.int64), *np.zeros((3, 0)))
    slot = column(np.arange(len(start)), ops.slot)[first]
    asked_s, end_s = column(0.0, times.start_s)[first], column(0.0, times.end_s)
    filled_anew_s = np.append(np.where(slot[1:] == slot[:-1], asked_s[1:], timeline.makespan_s), timeline.makespan_s)
    copied_back = np.logical_or.reduceat(kind == Kind.UNLOAD, first)
    left_s = np.where(copied_back, np.maximum.reduceat(end_s, first), filled_anew_s)
    return Stays(
        layer=column(start[:, 0], ops.layer)[first].astype(np.int64),
        expert=column(start[:, 1], ops.expert)[first].astype(np.int64),
        asked_s=asked_s,
        whole_s=end_s[first],
        until_s=np.minimum(left_s, filled_anew_s),
    )
