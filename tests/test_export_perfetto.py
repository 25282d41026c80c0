from __future__ import annotations

import gzip
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from scenarios.export import write_perfetto
from scenarios.export.tracks import step_names
from sim.cost import costs_of
from sim.critical_path import Cause, critical_path
from sim.errors import InputError
from sim.schedule import Kind
from sim.timeline import Timeline, Times
from tests.machines import busy_machine
from tests.runs import SOME_CASES, name_of, run
from tests.strategies import RandomSchedule, random_schedules
from tests.test_critical_path import timed
from tests.trace_events import Trace, read_trace

BUSY = """select thread, sum(dur) from slice where category not in ('step', 'critical path', 'wait') group by thread"""
SETTING = "batch"
PREFETCH = ("cache", (("policy", "lru"), ("miss", "cpu"), ("prefetch", True), ("priority", True)))
in_folder = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def exported(timeline: Timeline, folder: Path) -> Trace:
    write_perfetto(folder / "trace.json", timeline)
    return read_trace(folder / "trace.json")


def to_the_ns(timeline: Timeline) -> Timeline:
    """The same with all moments rounded, as the format has them."""
    times = timeline.times
    moments = (np.rint(column * 1e9) / 1e9 for column in (times.dispatched_s, times.start_s, times.end_s))
    return Timeline(timeline.schedule, Times(*moments, times.cancelled), timeline.source)


def busy_ns(timeline: Timeline) -> dict[str, int]:
    """Of the lanes that work at all."""
    busy = {lane.name: round(1e9 * timeline.busy_s(lane.name)) for lane in timeline.schedule.lanes}
    return {lane: ns for lane, ns in busy.items() if ns}


def in_sql(trace: Trace) -> dict[str, int]:
    return {thread: ns for thread, ns in trace.rows(BUSY) if ns}


def shaken(timeline: Timeline) -> Timeline:
    """As clocks that are not quite together might have measured it: ops of a lane overlap, but for the host's."""
    times, draw = timeline.times, np.random.default_rng(len(timeline.schedule))
    late = (times.end_s > times.start_s) & (timeline.schedule.ops.lane > 0)
    end_s = times.end_s + late * draw.integers(0, 3, len(times)) / 2
    return Timeline(timeline.schedule, replace(times, end_s=end_s), "measured")


@in_folder
@given(random_schedules())
def test_busy_times_in_sql_are_the_timelines_to_the_nanosecond(tmp_path: Path, case: RandomSchedule) -> None:
    for timeline in (timed(case)[0], shaken(timed(case)[0])):
        trace = exported(timeline, tmp_path)
        assert in_sql(trace) == busy_ns(to_the_ns(timeline))
        ops = [each.args["op"] for each in trace.slices if each.category not in ("step", "critical path", "dispatch")]
        assert sorted(ops) == list(range(len(timeline.schedule)))


@in_folder
@given(random_schedules())
def test_flows_are_the_dependencies_and_dispatches_of_ops_that_take_time(tmp_path: Path, case: RandomSchedule) -> None:
    timeline, _ = timed(case)
    ops, times = timeline.schedule.ops, timeline.times
    takes_time = times.end_s > times.start_s
    wanted = [
        ("dependency", dep, op) if times.start_s[dep] <= times.start_s[op] else ("waits for", op, dep)
        for op in range(len(ops))
        for dep in ops.dependencies(op).tolist()
        if takes_time[op] and takes_time[dep]
    ]
    trace = exported(timeline, tmp_path)
    dispatched = {each.args["op"] for each in trace.slices if each.category == "dispatch"}
    wanted += [("dispatch", op, op) for op in dispatched if takes_time[op] and ops.lane[op] > 0]
    found = [(category, a.args["op"], b.args["op"]) for category, a, b in trace.flows]
    assert sorted(found) == sorted(wanted)
    for category, a, b in trace.flows:
        assert (a.category == "dispatch") == (category == "dispatch")
        assert b.category != "dispatch"
        assert a.category == "wait" or category != "waits for"


@pytest.mark.parametrize("case", [*SOME_CASES[::9], PREFETCH], ids=name_of)
def test_a_strategys_trace_says_what_the_timeline_does(tmp_path: Path, case: tuple[str, tuple[()]]) -> None:
    timeline = run(case, SETTING)
    trace = exported(timeline, tmp_path)
    assert in_sql(trace) == busy_ns(to_the_ns(timeline))
    assert [each.name for each in trace.on("steps")] == step_names(timeline.schedule)
    assert [each.end for each in trace.on("steps")] == [round(1e9 * end) for end in timeline.step_end_s.tolist()]
    waits = [each for each in trace.on("host") if each.category == "wait"]
    assert len(waits) == (timeline.schedule.ops.kind == Kind.WAIT).sum()
    for each in trace.slices:
        if each.category not in ("step", "critical path", "dispatch"):
            check_args(timeline, each.args)


def check_args(timeline: Timeline, args: dict[str, object]) -> None:
    ops, op = timeline.schedule.ops, int(str(args["op"]))
    assert args["kind"] == Kind(ops.kind[op]).name.lower()
    for name, column, absent in (
        ("step", ops.step, -1), ("layer", ops.layer, -1), ("expert", ops.expert, -1), ("slot", ops.slot, -1),
        ("bytes", ops.size_bytes, 0), ("tokens", ops.tokens, 0), ("priority", ops.priority, 0),
    ):  # fmt: skip
        assert args.get(name, absent) == column[op]
    assert ("cancelled" in args) == timeline.times.cancelled[op]


def test_the_critical_path_is_a_track_and_marks_its_ops(tmp_path: Path) -> None:
    timeline = run(PREFETCH, SETTING)
    costs = costs_of(timeline.schedule, busy_machine())
    write_perfetto(tmp_path / "trace.json", timeline, costs)
    trace, path = read_trace(tmp_path / "trace.json"), critical_path(timeline, costs)
    track = trace.on("critical path")
    assert [each.name for each in track] == [Cause(code).label for code in path.cause.tolist()]
    assert {each.name for each in track} > {"sharing slow-down"}, "which is known from the costs"
    assert sum(each.end - each.start for each in track) == round(1e9 * timeline.makespan_s)
    seconds: dict[int, float] = {}
    for each in track:
        op = each.args["op"]
        seconds[op] = seconds.get(op, 0.0) + (each.end - each.start) / 1e9
    for each in trace.slices:
        if each.category not in ("step", "critical path", "dispatch"):
            assert each.args["on_path"] == (each.args["op"] in seconds)
            if each.args["on_path"]:
                assert float(each.args["path_us"]) / 1e6 == pytest.approx(seconds[each.args["op"]], abs=1e-7)


def test_counters_add_up_to_the_bytes_moved_and_the_slots_there_are(tmp_path: Path) -> None:
    timeline = run(PREFETCH, SETTING)
    counters, ops = exported(timeline, tmp_path).counters, timeline.schedule.ops
    for lane in ("gpu0.h2d", "gpu0.d2h"):
        rate = counters[f"{lane} rate GB/s"]
        moved = sum(rate_now * (until - at) for (at, rate_now), (until, _) in pairwise(rate))
        mine = (ops.lane == timeline.schedule.lane_index[lane]) & ~timeline.times.cancelled
        assert moved == pytest.approx(ops.size_bytes[mine].sum(), rel=1e-5)
        assert rate[-1][1] == 0
    used, resident = counters["expert slots in use"], counters["experts resident"]
    assert resident[0] == (0, len(timeline.schedule.start_slots))
    assert min(resident[1:], key=value)[1] >= 0
    assert max(resident, key=value)[1] <= max(used, key=value)[1] <= timeline.schedule.n_slots
    for name in ("expert loads under way", "gpu0.h2d queue ops"):
        assert 0 < max(counters[name], key=value)[1] <= len(ops)
        assert counters[name][-1][1] == 0


def value(point: tuple[int, float]) -> float:
    return point[1]


def test_prefills_are_numbered_where_there_are_several() -> None:
    schedule = run(PREFETCH, SETTING).schedule
    assert step_names(replace(schedule, steps=schedule.steps[:3])) == ["prefill", "decode 1", "decode 2"]
    assert [step_names(schedule)[i] for i in (0, 4, 5, 6)] == ["prefill 1", "decode 4", "prefill 2", "decode 5"]


def test_equal_timelines_give_equal_files_compressed_or_not_and_a_title_is_shown(tmp_path: Path) -> None:
    timeline = run(PREFETCH, SETTING)
    paths = [tmp_path / name for name in ("a.json", "b.json", "c.json.gz", "d.json.gz")]
    for path in paths:
        write_perfetto(path, timeline, title='LRU "best"')
    a, b, c, d = (path.read_bytes() for path in paths)
    assert a == b == gzip.decompress(c)
    assert c == d
    assert read_trace(paths[0]).process == 'LRU "best"'


def test_a_timeline_without_ops_is_a_trace(tmp_path: Path) -> None:
    timeline = run(PREFETCH, SETTING)
    none = replace(timeline.schedule, ops=timeline.schedule.ops[:0], steps=(), start_slots=())
    nothing = Times(*np.zeros((3, 0)), np.zeros(0, np.bool_))
    trace = exported(Timeline(none, nothing), tmp_path)
    assert (trace.slices, trace.counters) == ([], {})
    assert "gpu0" in trace.threads.values()


def test_what_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_perfetto(tmp_path / "file" / "trace.json", run(PREFETCH, SETTING))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
