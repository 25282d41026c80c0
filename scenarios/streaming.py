"""Which runs are streamed, and what is left of one: figures, but no ops to draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import psutil

from scenarios.load import ScenarioFile
from scenarios.resolve import Case, Entry
from sim.plan import check_windows
from sim.timeline import Timeline, Times
from sim.windowed_plan import WindowedPlan
from sim.workload import count_steps

_OP_BYTES = 300  # that a run which is not streamed holds for each op while it is planned and timed
_MOST = 0.5  # of the memory that is free


def layer_passes(case: Case) -> int:
    """Blocks that one strategy runs through."""
    return count_steps(case.trace, case.spec.batch) * case.model.n_layers


def streams(file: ScenarioFile, case: Case, jobs: int, asked: bool | None) -> bool:
    """Whether a case is to be streamed: if that is asked for, or, where nothing is (None), if it is too large.

    Raises InputError, with its line, for a strategy of which too much is asked.
    """
    if asked:
        _check(file, case)
    return _too_large(case, jobs) if asked is None else asked


def _too_large(case: Case, jobs: int) -> bool:
    """Whether `jobs` whole runs at a time would take most of the free memory.

    A block of a decode step has an attention, a gate, a wait, a combination, and some two ops for each routed expert.
    """
    ops = layer_passes(case) * (4 + 2 * case.model.top_k) * min(jobs, len(case.entries))
    return bool(ops * _OP_BYTES > _MOST * psutil.virtual_memory().available)


def can_stream(entry: Entry) -> bool:
    """Whether a strategy can do with one window of its run at a time."""
    return not entry.kind.needs_future


def _check(file: ScenarioFile, case: Case) -> None:
    for i, entry in enumerate(case.entries):
        with file.at("strategies", i):
            check_windows(entry.kind)


def tokens_told(case: Case, so_far: str, progress: Callable[[str], None]) -> Callable[[int], None]:
    """What says how many of the trace's tokens have been run."""
    total = case.trace.n_tokens
    return lambda tokens: progress(f"{so_far}: {tokens:,} of {total:,} tokens")


def nothing_timed(planned: WindowedPlan) -> Timeline:
    """The timeline of a run all windows of which have been taken: what holds for all of it, and no ops."""
    none = np.zeros(0)
    return Timeline(planned.schedule(), Times(none, none, none, np.zeros(0, np.bool_)))
