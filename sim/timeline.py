"""Timeline: what happened when, simulated or measured; all reports read this and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sim.columnar import read_table, write_table
from sim.errors import FormatError
from sim.notebook import runs, shown
from sim.schedule import Kind, Schedule

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Times:
    """Seconds since the start of the run at which each op was dispatched, started and ended."""

    dispatched_s: NDArray[np.float64]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    cancelled: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.end_s)


def join_times(pieces: Iterable[Times]) -> Times:
    """The times of consecutive pieces as one."""
    kept = list(pieces)
    return Times(*(np.concatenate([getattr(piece, column.name) for piece in kept]) for column in fields(Times)))


class StepEnds:
    """Which ops of a schedule end its steps: the heads, which yield the tokens, or else all."""

    def __init__(self, schedule: Schedule) -> None:
        step, self._n_steps = schedule.ops.step, len(schedule.steps)
        heads = np.flatnonzero(schedule.ops.kind == Kind.HEAD)
        every_step = len(np.unique(step[heads])) == self._n_steps
        self._ops = heads if every_step else np.flatnonzero(step >= 0)
        self._step = step[self._ops]

    def of(self, end_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """End of each step, given that of each op."""
        ends = np.zeros(self._n_steps)
        np.maximum.at(ends, self._step, end_s[self._ops])
        return ends


@shown(runs.timeline_card)
@dataclass(frozen=True)
class Timeline:
    """A Schedule with its Times. `source` is `simulated` or `measured`; `meta` says where and how."""

    schedule: Schedule
    times: Times
    source: str = "simulated"
    meta: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def makespan_s(self) -> float:
        """From the start of the run to the end of its last op."""
        return float(self.times.end_s.max(initial=0.0))

    @cached_property
    def step_end_s(self) -> NDArray[np.float64]:
        """End of each step: of its head op, which yields the token, or else of its last op to end."""
        return self.schedule.facts.step_ends.of(self.times.end_s)

    def busy_s(self, lane: str) -> float:
        """Seconds in which the lane works; the host's include dispatching and leave out waiting."""
        return float(self._busy_s[self.schedule.lane_index[lane]])

    @cached_property
    def _busy_s(self) -> NDArray[np.float64]:
        """The same of all lanes [lane]."""
        lane, n_lanes = self.schedule.facts.working, len(self.schedule.lanes)
        worked = self.times.end_s - self.times.start_s
        busy = np.bincount(lane, weights=worked, minlength=n_lanes)[:n_lanes].astype(np.float64)
        busy[0] += self.dispatch_s
        return busy

    @cached_property
    def dispatch_s(self) -> float:
        """Seconds that the host spends dispatching, as simulated or as measured."""
        return float((self.times.dispatched_s - self.dispatch_start_s).sum())

    @property
    def dispatch_start_s(self) -> NDArray[np.float64]:
        """When the host turned to each op [op]; it dispatches that op from here until `times.dispatched_s`."""
        dispatched, of_host = self.times.dispatched_s, self.schedule.facts.of_host
        free = np.roll(dispatched, 1)  # when it was done with the op before
        after = of_host[of_host < len(dispatched) - 1]
        free[after + 1] = self.times.end_s[after]
        free[:1] = 0.0
        return np.minimum(free, dispatched, out=free)

    def save(self, path: str | Path) -> None:
        """Write the times as one Arrow file, atomically; the schedule is saved by itself."""
        write_table(
            path,
            kind="timeline",
            version=FORMAT_VERSION,
            columns=vars(self.times),
            meta={"source": self.source, "meta": self.meta, "schedule": self.schedule.fingerprint},
        )

    @classmethod
    def load(cls, path: str | Path, schedule: Schedule) -> Self:
        """Read what `save` wrote, for the schedule it belongs to; raises FormatError otherwise."""
        columns, meta = read_table(path, kind="timeline", version=FORMAT_VERSION)
        try:
            timeline = cls(schedule, Times(**columns), meta["source"], meta["meta"])
        except (KeyError, TypeError) as error:
            raise FormatError(f"not a usable timeline: {error}", file=path, remedy="make it again") from error
        made_of = meta.get("schedule", schedule.fingerprint)  # older files do not say
        if len(timeline.times) == len(schedule) and made_of != schedule.fingerprint:
            raise FormatError(
                "was made from another schedule of as many ops", file=path, field="schedule", value=made_of,
                remedy="give the schedule that this timeline was made from",
            )  # fmt: skip
        if len(timeline.times) != len(schedule):
            raise FormatError(
                f"holds {len(timeline.times)} ops, the schedule {len(schedule)}",
                file=path,
                remedy="give the schedule that this timeline was made from",
            )
        return timeline
