"""Job: one op on its way through the reference engine."""

from __future__ import annotations

from collections.abc import Sequence

import simpy

from sim.sharing import Uses


class Job:
    """`start` and `end` are None until it has started and ended."""

    __slots__ = (
        "cancelled",
        "deps",
        "dispatch_s",
        "dispatched",
        "duration_s",
        "end",
        "handoff_s",
        "index",
        "kind",
        "lane",
        "pending",
        "priority",
        "ready",
        "start",
        "uses",
        "waiters",
    )

    def __init__(
        self, index: int, kind: int, lane: int, priority: int, duration_s: float, dispatch_s: float, handoff_s: float,
        uses: Uses,
    ) -> None:  # fmt: skip
        self.index, self.kind, self.lane, self.priority = index, kind, lane, priority
        self.duration_s, self.dispatch_s, self.handoff_s, self.uses = duration_s, dispatch_s, handoff_s, uses
        self.deps: Sequence[Job] = ()  # dropped once the op is handed over
        self.pending = 0  # dependencies that had not ended then
        self.waiters: list[Job] | None = None  # jobs that count this one among their pending
        self.ready: simpy.Event | None = None  # what a lane yields on while its head has pending dependencies
        self.dispatched = 0.0
        self.start: float | None = None
        self.end: float | None = None
        self.cancelled = False
