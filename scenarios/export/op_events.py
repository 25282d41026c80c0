"""Ops, their dispatches and the flows between them as lines of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from scenarios.export.events import PID, microseconds, slice_line
from scenarios.export.flows import KINDS, Flows, flows_of
from scenarios.export.on_path import OnPath
from scenarios.export.tracks import Slices
from scenarios.report.categories import CATEGORIES, DISPATCH
from sim.critical_path import Cause
from sim.precision import PRECISIONS
from sim.schedule import Kind, Reason
from sim.timeline import Timeline

_OP_KINDS = tuple(kind.name.lower() for kind in Kind)
_REASONS = tuple(reason.name.lower() for reason in Reason)
_NAMES = {"kind": _OP_KINDS, "reason": _REASONS, "precision": tuple(PRECISIONS)}
_NUMBERS = (  # key in the trace, column, and the number that stands for none
    *((name, name, -1) for name in ("step", "layer", "expert", "slot")),
    *((name, name, 0) for name in ("tokens", "context", "priority")),
    ("bytes", "size_bytes", 0),
)
_AT_ONCE = 1 << 14  # slices: so much text is in memory


def op_lines(timeline: Timeline, slices: Slices, critical: OnPath) -> Iterator[str]:
    """All slices in order of track and start, each followed by the ends of its flows, which bind to it."""
    flows = flows_of(timeline.schedule.ops, slices)
    first_flow = np.searchsorted(flows.slice, np.arange(len(slices) + 1))
    for begin in range(0, len(slices), _AT_ONCE):
        end = min(begin + _AT_ONCE, len(slices))
        ends = _flow_lines(flows, slices.track, int(first_flow[begin]), int(first_flow[end]))
        counts = np.diff(first_flow[begin : end + 1]).tolist()
        for line, count in zip(_slice_lines(timeline, slices, critical, begin, end), counts, strict=True):
            yield line
            for _ in range(count):
                yield next(ends)


def _slice_lines(timeline: Timeline, slices: Slices, critical: OnPath, begin: int, end: int) -> Iterator[str]:
    op, category, track = (column[begin:end] for column in (slices.op, slices.category, slices.track))
    start_ns, end_ns = slices.start_ns[begin:end], slices.end_ns[begin:end]
    args = _args(timeline, critical, op[category != DISPATCH])
    columns = (op.tolist(), category.tolist(), track.tolist(), microseconds(start_ns), microseconds(end_ns - start_ns))
    for number, code, of, at, length, name in zip(*columns, _names(timeline, op), strict=True):
        if code == DISPATCH:
            yield slice_line(of, at, length, "dispatch", f"dispatch {name}", f'"op":{number}')
        else:
            yield slice_line(of, at, length, CATEGORIES[code].name, name, next(args))


def _flow_lines(flows: Flows, track: NDArray[np.int64], begin: int, end: int) -> Iterator[str]:
    part = slice(begin, end)
    columns = (flows.flow[part], flows.kind[part], flows.begins[part], track[flows.slice[part]])
    for flow, code, begins, of, at in zip(
        *(column.tolist() for column in columns), microseconds(flows.at_ns[part]), strict=True
    ):
        kind, phase = KINDS[code], '"s"' if begins else '"f","bp":"e"'
        yield f'{{"ph":{phase},"id":{flow},"pid":{PID},"tid":{of},"ts":{at},"cat":"{kind}","name":"{kind}"}}'


def _names(timeline: Timeline, op: NDArray[np.int64]) -> Iterator[str]:
    """Like `load L3 E5 (demand)`: viewers colour by name, numbers apart, and so by kind and reason."""
    ops = timeline.schedule.ops
    columns = (getattr(ops, name)[op].tolist() for name in ("kind", "reason", "layer", "expert"))
    for kind, reason, layer, expert in zip(*columns, strict=True):
        of_layer = f" L{layer}" if layer >= 0 else ""
        of_expert = f" E{expert}" if expert >= 0 else ""
        why = f" ({_REASONS[reason]})" if reason != Reason.MODEL else ""
        yield f"{_OP_KINDS[kind]}{of_layer}{of_expert}{why}"


def _args(timeline: Timeline, critical: OnPath, op: NDArray[np.int64]) -> Iterator[str]:
    """What is known of each op; what it does not have is left out."""
    ops = timeline.schedule.ops
    named = (_named(key, getattr(ops, key)[op], names) for key, names in _NAMES.items())
    numbers = (_numbers(key, getattr(ops, column)[op], absent) for key, column, absent in _NUMBERS)
    cancelled = ([',"cancelled":true' if each else "" for each in timeline.times.cancelled[op].tolist()],)
    for number, *texts in zip(op.tolist(), *named, *numbers, *cancelled, _path_args(critical, op), strict=True):
        yield f'"op":{number}{"".join(texts)}'


def _named(key: str, codes: NDArray[np.uint8], names: Sequence[str]) -> list[str]:
    texts = [f',"{key}":"{name}"' for name in names]
    return [texts[code] for code in codes.tolist()]


def _numbers(key: str, values: NDArray[np.int64], absent: int) -> list[str]:
    return [f',"{key}":{value}' if value != absent else "" for value in values.tolist()]


def _path_args(critical: OnPath, op: NDArray[np.int64]) -> list[str]:
    causes = [cause.label for cause in Cause]
    return [
        f',"on_path":true,"path_us":{1e6 * seconds:.3f},"path_cause":"{causes[cause]}"'
        if seconds
        else ',"on_path":false'
        for seconds, cause in zip(critical.seconds[op].tolist(), critical.cause[op].tolist(), strict=True)
    ]
