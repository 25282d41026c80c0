"""Schedules as text, one op a line, so that a test can spell out the schedule that it expects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.schedule import Kind, Reason, Schedule
from sim.trace import RoutingTrace, id_dtype


def listing(schedule: Schedule) -> list[str]:
    """`number kind lane block/expert reason slot tokens bytes after dependencies`, leaving out what does not apply."""
    return [_line(schedule, op) for op in range(len(schedule))]


def lines(text: str) -> list[str]:
    """The lines of an expected listing, blanks squeezed and comments dropped."""
    kept = (" ".join(line.split("#")[0].split()) for line in text.splitlines())
    return [line for line in kept if line]


def _line(schedule: Schedule, op: int) -> str:
    ops = schedule.ops
    parts = [str(op), Kind(ops.kind[op]).name.lower(), schedule.lanes[ops.lane[op]].name]
    if ops.layer[op] >= 0:
        parts.append(f"{ops.layer[op]}" + (f"/{ops.expert[op]}" if ops.expert[op] >= 0 else ""))
    if ops.reason[op] != Reason.MODEL:
        parts.append(Reason(ops.reason[op]).name.lower())
    if ops.slot[op] >= 0:
        parts.append(f"slot{ops.slot[op]}")
    if ops.tokens[op]:
        parts.append(f"{ops.tokens[op]}t")
    if ops.size_bytes[op]:
        parts.append(f"{ops.size_bytes[op]}B")
    if ops.priority[op]:
        parts.append(f"p{ops.priority[op]}")
    deps = ops.dependencies(op).tolist()
    return " ".join([*parts, *(["after", *map(str, sorted(set(deps)))] if deps else [])])


def trace_of(
    *tokens: Sequence[Sequence[int]],
    prompts: Sequence[int] = (0,),
    lengths: Sequence[int] | None = None,
    n_experts: int = 4,
) -> RoutingTrace:
    """A trace from what each token is routed to, layer by layer; one sequence unless `lengths` says otherwise."""
    ids = np.array(tokens, id_dtype(n_experts))
    return RoutingTrace(
        ids=ids,
        offsets=np.cumsum([0, *(lengths or [len(ids)])]).astype(np.int64),
        prompt_tokens=np.array(prompts, np.int64),
        n_experts=n_experts,
    )
