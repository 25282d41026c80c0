"""Events of a trace as lines of JSON, formatted by hand, which is ten times as fast as a JSON library."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scenarios.export.counters import Counter
from scenarios.export.tracks import CRITICAL_PATH, FIRST_LANE, STEPS, Slices, nanoseconds, step_names
from sim.critical_path import Cause, Path
from sim.schedule import Schedule
from sim.timeline import Timeline

PID = 1


def track_lines(schedule: Schedule, slices: Slices, title: str) -> Iterator[str]:
    """Names and order of the tracks."""
    names = [(STEPS, "steps"), (CRITICAL_PATH, "critical path")]
    names += [(FIRST_LANE + number, lane.name) for number, lane in enumerate(schedule.lanes)]
    last = FIRST_LANE + len(schedule.lanes)
    names += [(last + number, schedule.lanes[lane].name) for number, lane in enumerate(slices.extra)]
    yield _meta("process_name", 0, {"name": title})
    for track, name in names:
        yield _meta("thread_name", track, {"name": name})
        yield _meta("thread_sort_index", track, {"sort_index": track})


def step_lines(timeline: Timeline) -> Iterator[str]:
    """Each step from the end of the one before to its own."""
    schedule = timeline.schedule
    ends = nanoseconds(np.maximum.accumulate(timeline.step_end_s))
    starts = np.concatenate(([0], ends[:-1])).astype(np.int64)
    for step, name, at, length in zip(
        schedule.steps, step_names(schedule), microseconds(starts), microseconds(ends - starts), strict=False
    ):
        args = f'"batch":{step.batch},"sequences":{step.sequences},"tokens":{step.tokens},"first_op":{step.first_op}'
        yield slice_line(STEPS, at, length, "step", name, args)


def path_lines(path: Path) -> Iterator[str]:
    """The critical path: what each stretch of the makespan is spent on."""
    begins, ends = nanoseconds(path.begin_s), nanoseconds(path.end_s)
    lanes = [json.dumps(lane.name) for lane in path.timeline.schedule.lanes]
    labels = [cause.label for cause in Cause]
    columns = (path.op.tolist(), path.cause.tolist(), path.lane.tolist())
    for op, cause, lane, at, length in zip(*columns, microseconds(begins), microseconds(ends - begins), strict=True):
        yield slice_line(CRITICAL_PATH, at, length, "critical path", labels[cause], f'"op":{op},"lane":{lanes[lane]}')


def counter_lines(counter: Counter) -> Iterator[str]:
    """Its value from each change on."""
    name, series = json.dumps(counter.name), json.dumps(counter.series)
    for at, value in zip(microseconds(counter.at_ns), counter.value.tolist(), strict=True):
        yield f'{{"ph":"C","pid":{PID},"ts":{at},"name":{name},"args":{{{series}:{value:.6g}}}}}'


def slice_line(track: int, at: str, length: str, category: str, name: str, args: str) -> str:
    """A complete event; `args` are members of a JSON object."""
    return (
        f'{{"ph":"X","pid":{PID},"tid":{track},"ts":{at},"dur":{length},"cat":"{category}","name":"{name}",'
        f'"args":{{{args}}}}}'
    )


def _meta(name: str, track: int, args: dict[str, str | int]) -> str:
    return f'{{"ph":"M","pid":{PID},"tid":{track},"name":"{name}","args":{json.dumps(args)}}}'


def microseconds(ns: NDArray[np.int64]) -> list[str]:
    """The unit of the format, with all digits."""
    whole, rest = np.divmod(ns, 1000)
    return [f"{us}.{digits:03d}" for us, digits in zip(whole.tolist(), rest.tolist(), strict=True)]
