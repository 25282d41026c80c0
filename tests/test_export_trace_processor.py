"""Perfetto's own trace processor reads what is exported, and answers as the Timeline and the documents do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scenarios.export import write_perfetto
from scenarios.load import load_scenario
from scenarios.run import run_scenario
from sim.timeline import Timeline, Times
from tests.runs import SOME_CASES, run
from tests.test_export_perfetto import PREFETCH, SETTING, busy_ns, shaken, to_the_ns
from tests.trace_events import read_trace
from tests.trace_processor import TraceProcessor

ROOT = Path(__file__).parent.parent
LOST = "select name, value from stats where value > 0 and severity != 'info'"
BUSY = """
select thread.name as lane, sum(dur) as ns
from slice join thread_track on slice.track_id = thread_track.id join thread using (utid)
where category not in ('step', 'critical path', 'wait') group by lane having ns > 0
"""
FLOWS = """
select extract_arg(a.arg_set_id, 'args.op') as source, extract_arg(b.arg_set_id, 'args.op') as target,
       a.category = 'dispatch' as is_dispatch
from flow join slice a on slice_out = a.id join slice b on slice_in = b.id
"""
SLICES = "select ts, ts + dur as until, name from slice"
COUNTERS = "select t.name as name, ts, value from counter join counter_track t on track_id = t.id"


def check(timeline: Timeline, path: Path) -> None:
    """The trace processor loses nothing, and says what the timeline and our own reader of the format say."""
    write_perfetto(path, timeline)
    found, trace = TraceProcessor(path), read_trace(path)
    assert found.query(LOST) == []
    assert answer(found, SLICES) == sorted((each.start, each.end, each.name) for each in trace.slices)
    flows = [(a.args["op"], b.args["op"], category == "dispatch") for category, a, b in trace.flows]
    assert answer(found, FLOWS) == sorted(flows)
    points = [(name, *point) for name, points in sorted(trace.counters.items()) for point in points]
    for (*where, value), (*wanted, exactly) in zip(answer(found, COUNTERS), points, strict=True):
        assert (where, value) == (wanted, pytest.approx(exactly))
    assert dict(answer(found, BUSY)) == busy_ns(to_the_ns(timeline))


def answer(found: TraceProcessor, sql: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in found.query(sql))


def test_slices_flows_counters_and_busy_times_are_the_timelines(tmp_path: Path) -> None:
    for case in (PREFETCH, *SOME_CASES[:25:6]):
        timeline = run(case, SETTING)
        check(timeline, tmp_path / "trace.json.gz")
        check(shaken(timeline), tmp_path / "trace.json")


def test_moments_are_exact_to_the_nanosecond_after_weeks(tmp_path: Path) -> None:
    """So long, and no longer, a timeline's own doubles tell one nanosecond from the next."""
    timeline = run(PREFETCH, SETTING)
    times = timeline.times
    late_s = [4e6 + each for each in (times.dispatched_s, times.start_s, times.end_s)]
    write_perfetto(tmp_path / "trace.json", Timeline(timeline.schedule, Times(*late_s, times.cancelled)))
    slices = read_trace(tmp_path / "trace.json").slices
    assert max(each.end for each in slices) > 4e15
    found = TraceProcessor(tmp_path / "trace.json")
    assert answer(found, SLICES) == sorted((each.start, each.end, each.name) for each in slices)


def test_the_examples_of_the_documents_answer_as_printed(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
    (tmp_path / "scenario.yaml").write_text(only(text, "yaml"), encoding="utf-8")
    (result,) = run_scenario(load_scenario(tmp_path / "scenario.yaml")).runs
    write_perfetto(tmp_path / "trace.json.gz", result.timeline)
    found = TraceProcessor(tmp_path / "trace.json.gz")
    examples = re.findall(r"```sql\n(.*?)```\n\n```\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 3
    for sql, printed in examples:
        rows = found.query(sql)
        table = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
        assert [re.split(r" {2,}", line.strip()) for line in printed.splitlines()] == table


def only(text: str, language: str) -> str:
    """The one block of code in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(found)
