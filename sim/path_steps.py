"""The steps of the walk back along a critical path: compiled where Numba is there, else the same in plain Python."""

from __future__ import annotations

from typing import Any

from sim.compiler import compiled
from sim.path_walk import Part
from sim.schedule import Kind

_WORK, _SHARING, _DISPATCH, _SYNCHRONISATION, _WAKE_UP, _GAP = map(int, Part)
_WAIT, _CANCEL = int(Kind.WAIT), int(Kind.CANCEL)
_ROUNDING = 1e-9  # relative; below it a duration is the one at full speed
_ALWAYS = float("inf")
_NEVER = float("-inf")


@compiled
def walk_back(
    op: int, now: float, kind: Any, dep: Any, dep_end: Any, dispatched: Any, start: Any, end: Any, urgent: Any,
    before: Any, host_before: Any, cancelled_by: Any, full: Any, wake: Any, segments: Any, windows: Any,
) -> tuple[int, int]:  # fmt: skip
    """Go from `op`, which ends last, `now`, to the start; how many segments and windows there are, latest first.

    `segments` is (op, part, begin, end) and `windows` (begin, end), lists or arrays to be filled; -1 if they are too
    short. Inputs are [op]; `full` is the duration at full speed (infinite: not known),
    `wake` the longest time that a lane may need to come back to work.
    """
    cancelled_by = cancelled_by.copy()  # it is used up
    n = m = 0
    queue_ready = urgent_ready = _ALWAYS  # since when an op of the path, an urgent one, was ready in the present queue
    while op >= 0:
        if n + op - host_before[op] + 5 > len(segments[0]) or m + 2 > len(windows[0]):
            return -1, -1
        free = end[before[op]] if before[op] >= 0 else _NEVER
        if cancelled_by[op] >= 0:  # it ended because the cancel came
            m = held_up(windows, m, max(queue_ready, free), now)
            queue_ready = urgent_ready = _ALWAYS
            by = cancelled_by[op]
            cancelled_by[op] = -1
            op = by
            continue
        ready, handed_over = dep_end[op], dep_end[op] < dispatched[op]
        if kind[op] == _WAIT:
            n, now = emit(segments, n, op, _SYNCHRONISATION, max(ready, dispatched[op]), now)
        elif kind[op] == _CANCEL:
            handed_over = True
        else:
            if not urgent[op]:
                m = held_up(windows, m, max(start[op], urgent_ready), now)
            if now - (start[op] + full[op]) > _ROUNDING * full[op]:
                n, now = emit(segments, n, op, _SHARING, start[op] + full[op], now)
            n, now = emit(segments, n, op, _WORK, start[op], now)
            ready = max(ready, dispatched[op])
            n, now = idle(segments, n, op, max(ready, free), wake[op], now)
            if ready < free and (before[op] < op or start[before[op]] < now):
                queue_ready = min(queue_ready, ready)
                if urgent[op]:
                    urgent_ready = min(urgent_ready, ready)
                op = before[op]
                continue
            m = held_up(windows, m, max(queue_ready, free), now)
            queue_ready = urgent_ready = _ALWAYS
        if handed_over:
            n, now = handing_over(segments, n, op, host_before[op], dispatched, end, now)
            op = host_before[op]
        else:
            op = dep[op]
    return n, m


@compiled
def emit(segments: Any, n: int, op: int, part: int, begin: float, now: float) -> tuple[int, float]:
    """One segment from `begin` to now, if there is any; how many there are then, and the present moment."""
    if not begin < now:
        return n, now
    out_op, out_part, out_begin, out_end = segments
    out_op[n], out_part[n], out_begin[n], out_end[n] = op, part, begin, now
    return n + 1, begin


@compiled
def idle(segments: Any, n: int, op: int, since: float, most: float, now: float) -> tuple[int, float]:
    """From the moment when nothing kept an op any more to its start: waking up, and what that does not explain."""
    if since >= now:
        return n, now
    slack = _ROUNDING * most if most < _ALWAYS else 0.0
    if now - since > most + slack:
        n, now = emit(segments, n, op, _GAP, since + most, now)
    return emit(segments, n, op, _WAKE_UP, since, now)


@compiled
def handing_over(
    segments: Any, n: int, op: int, host_op: int, dispatched: Any, end: Any, now: float
) -> tuple[int, float]:
    """Through all that the host handed over since its last own op, which the walk goes on with."""
    for each in range(op, host_op, -1):
        since = dispatched[each - 1] if each - 1 > host_op else (end[host_op] if host_op >= 0 else 0.0)
        n, now = emit(segments, n, each, _DISPATCH, since, now)
    return n, now


@compiled
def held_up(windows: Any, m: int, since: float, now: float) -> int:
    """Add the time until now to the windows, which stay disjoint; how many there are then."""
    begins, ends = windows
    until = min(now, begins[m - 1]) if m else now
    if since < until:
        begins[m], ends[m] = since, until
        return m + 1
    return m
