from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.report import data as report_data
from scenarios.report.categories import CATEGORIES, DISPATCH, WAIT, busy_s
from scenarios.report.gantt import views
from scenarios.report.gantt_rows import rows_of
from scenarios.report.gantt_windows import windows
from scenarios.report.latency import latency
from scenarios.report.packing import packed, unpacked
from scenarios.report.ranking import rank
from scenarios.results import ScenarioResult
from sim.critical_path import Cause, critical_path
from sim.releases import Release
from sim.schedule import Kind, Phase, Reason
from sim.timeline import Timeline
from tests.report_pages import small_result
from tests.scenario_files import SCENARIO

MANY = 10**6
LONG = SCENARIO.replace("output: 4", "output: 40")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    return small_result(tmp_path_factory.mktemp("long"), LONG)


def timelines(result: ScenarioResult) -> list[Timeline]:
    return [run.timeline for run in result.runs]


def shown(timeline: Timeline, most_rows: int = MANY) -> list[dict[str, Any]]:
    """The views with their columns unpacked."""
    found = views(timeline, critical_path(timeline), most_rows)
    return [{**view, "rows": columns(view["rows"]), "path": columns(view["path"])} for view in found]


def columns(packed_columns: dict[str, Any]) -> dict[str, Any]:
    return {name: unpacked(text) if isinstance(text, str) else text for name, text in packed_columns.items()}


def expected_bars(timeline: Timeline, view: dict[str, Any]) -> list[tuple[int, ...]]:
    """Every op and dispatch that overlaps a view, as lane, category, kind, layer, expert, bytes, start, length."""
    ops, times = timeline.schedule.ops, timeline.times
    bars: list[tuple[int, ...]] = []
    free_s = 0.0
    for i in range(len(ops)):
        what = (int(ops.kind[i]), int(ops.layer[i]), int(ops.expert[i]), int(ops.size_bytes[i]))
        category = WAIT if ops.kind[i] == Kind.WAIT else int(ops.reason[i])
        for lane, code, begin, end in (
            (int(ops.lane[i]), category, times.start_s[i], times.end_s[i]),
            (0, DISPATCH, free_s, times.dispatched_s[i]),
        ):
            if begin < end and begin < view["end_s"] and end > view["start_s"]:
                first, last = (round((t - view["origin_s"]) / view["tick_s"]) for t in (begin, end))
                bars.append((lane, code, *what, first, last - first))
        free_s = times.end_s[i] if ops.lane[i] == 0 else times.dispatched_s[i]
    return bars


def test_bars_are_the_ops_and_dispatches_of_the_stretch(result: ScenarioResult) -> None:
    for timeline in timelines(result):
        for most in (MANY, len(rows_of(timeline)) // 3):
            for view in shown(timeline, most):
                rows = view["rows"]
                sizes = [rows["sizes"][i] for i in rows["size"]]
                what = (rows[name] for name in ("lane", "category", "kind", "layer", "expert"))
                bars = list(zip(*what, sizes, rows["start"], rows["length"], strict=True))
                assert sorted(bars) == sorted(expected_bars(timeline, view))
                assert bars == sorted(bars, key=lambda bar: (bar[0], bar[6]))  # by lane and start
                assert view["count"] == len(bars)


def test_a_run_is_shown_whole_or_else_its_prefill_and_decode_steps_from_the_middle_on(result: ScenarioResult) -> None:
    for timeline in timelines(result):
        rows, ends = rows_of(timeline), timeline.step_end_s
        (whole,) = windows(timeline, rows, len(rows))
        assert (whole.phase, whole.start_s, whole.end_s) == (None, 0.0, timeline.makespan_s)
        prefill, decode = windows(timeline, rows, len(rows) - 1)
        assert (prefill.phase, prefill.first, prefill.steps, prefill.end_s) == (Phase.PREFILL, 0, 1, ends[0])
        assert (decode.first, decode.steps) == (20, 20)  # decode steps are numbers 1 to 39
        assert (decode.start_s, decode.end_s) == (ends[19], ends[39])


def test_steps_of_another_batch_are_another_stretch(tmp_path: Path) -> None:
    timeline = small_result(tmp_path, LONG.replace("prompt: 6", "sequences: 4, batch: 1, prompt: 6")).runs[0].timeline
    assert sum(step.phase == Phase.PREFILL for step in timeline.schedule.steps) > 1
    rows = rows_of(timeline)
    _, decode = windows(timeline, rows, len(rows) - 1)
    steps = timeline.schedule.steps[decode.first : decode.first + decode.steps]
    assert {step.phase for step in steps} == {Phase.DECODE}


def test_where_rows_are_limited_fewer_steps_and_then_fewer_layers_are_shown(result: ScenarioResult) -> None:
    timeline = timelines(result)[0]
    rows = rows_of(timeline)
    sizes = []
    for most in (len(rows), len(rows) // 2, len(rows) // 10, len(rows) // 60):
        found = windows(timeline, rows, most)
        sizes.append([(window.steps, window.layers) for window in found])
        assert sum(len(window.rows(rows)) for window in found) <= most
    assert all(window.layers for window in found)
    assert sorted((steps for *_, (steps, _) in sizes), reverse=True) == [steps for *_, (steps, _) in sizes]


def test_each_row_names_what_released_it(result: ScenarioResult) -> None:
    for timeline in timelines(result):
        rows = rows_of(timeline)
        some = np.flatnonzero(rows.by >= 0)
        assert len(some) > 0.9 * len(rows)
        waits = rows.category[some] == WAIT  # of the host: they begin before, and end with, what they wait for
        assert (rows.end_s[rows.by[some]] <= np.where(waits, rows.end_s[some], rows.start_s[some]) + 1e-12).all()
        handed = some[rows.how[some] == Release.DISPATCH]
        assert (rows.op[rows.by[handed]] == rows.op[handed]).all()
        assert (rows.category[rows.by[handed]] == DISPATCH).all()
        queued = some[(rows.how[some] == Release.QUEUE) & ~rows.dispatches[some]]
        assert (rows.lane[rows.by[queued]] == rows.lane[queued]).all()
        (view,) = shown(timeline)
        order = np.lexsort((rows.start_s, rows.lane))
        place = np.append(np.argsort(order), -1)
        assert view["rows"]["by"].tolist() == place[rows.by[order]].tolist()


def test_the_path_of_a_whole_run_is_as_long_as_the_run_and_lies_on_its_rows(result: ScenarioResult) -> None:
    for timeline in timelines(result):
        (view,) = shown(timeline)
        path, rows, tick_s = view["path"], view["rows"], view["tick_s"]
        ends = path["start"].astype(np.int64) + path["length"]
        assert (path["start"][1:] == ends[:-1]).all()
        assert ends[-1] * tick_s == pytest.approx(timeline.makespan_s, abs=tick_s)
        own = np.flatnonzero(
            (path["row"] >= 0) & np.isin(path["cause"], (Cause.GPU, Cause.CPU_EXPERT, Cause.DEMAND_LOAD))
        )
        assert len(own)
        row = path["row"][own]
        assert (rows["lane"][row] == path["lane"][own]).all()
        assert (rows["start"][row] <= path["start"][own]).all()
        assert (ends[own] <= rows["start"][row].astype(np.int64) + rows["length"][row]).all()


def test_bars_of_all_strategies_keep_to_a_budget(result: ScenarioResult, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = rank(result.runs)
    monkeypatch.setattr(report_data, "_ROW_BUDGET", 2000)
    paths = [critical_path(entry.run.timeline) for entry in entries]
    drawn = report_data.data(entries, paths)["runs"]
    assert [run["label"] for run in drawn] == [entry.label for entry in entries]
    assert drawn[0]["views"]
    assert not drawn[-1]["views"]
    assert sum(view["count"] for run in drawn for view in run["views"]) <= 2000


@given(st.lists(st.integers(-(2**15), 2**15 - 1)), st.booleans())
def test_columns_come_out_of_their_packing(values: list[int], deltas: bool) -> None:
    for dtype in ("i2", "i4", "u4") if min(values, default=0) >= 0 else ("i2", "i4"):
        column = np.array(values, np.int64)
        assert unpacked(packed(column, dtype, deltas=deltas)).tolist() == values


def test_numbers_that_do_not_fit_are_no_column() -> None:
    with pytest.raises(OverflowError, match="from -1 to 300 do not fit into u1"):
        packed(np.array([-1, 300]), "u1")


def test_every_reason_has_a_category_of_its_own() -> None:
    assert [category.name for category in CATEGORIES[: len(Reason)]] == [reason.name.lower() for reason in Reason]
    assert len({category.label for category in CATEGORIES}) == len(CATEGORIES)
    assert (CATEGORIES[DISPATCH].name, CATEGORIES[WAIT].name) == ("dispatch", "wait")


def test_busy_seconds_by_category_sum_to_those_of_the_lane(result: ScenarioResult) -> None:
    for timeline in timelines(result):
        totals = busy_s(timeline).sum(axis=1)
        lanes = [timeline.busy_s(lane.name) for lane in timeline.schedule.lanes]
        assert totals.tolist() == pytest.approx(lanes)


def test_dispatch_bars_sum_to_the_time_spent_dispatching(result: ScenarioResult) -> None:
    for timeline in timelines(result):
        rows = rows_of(timeline)
        mine = rows.category == DISPATCH
        assert (rows.end_s - rows.start_s)[mine].sum() == pytest.approx(timeline.dispatch_s)


def test_latency_is_the_time_between_tokens(result: ScenarioResult) -> None:
    for timeline in timelines(result):
        shown = latency(timeline)
        assert shown["per_point"] == 1
        assert shown["x"] == list(range(1, 40))
        step_s = np.diff(timeline.step_end_s)
        assert shown["median_s"] == pytest.approx(step_s, rel=1e-5)
        quantiles = shown["quantiles_s"]
        assert (quantiles[0], quantiles[50], quantiles[-1]) == pytest.approx(
            (min(step_s), np.median(step_s), max(step_s)), rel=1e-5
        )


def test_long_runs_are_binned_without_losing_the_extremes(tmp_path: Path) -> None:
    result = small_result(tmp_path, SCENARIO.replace("output: 4", "output: 502"), gpu_bytes=10**7)
    timeline = result.runs[3].timeline
    step_s = np.diff(timeline.step_end_s)
    shown = latency(timeline)
    assert shown["per_point"] == 3
    assert len(shown["x"]) == len(shown["median_s"]) == 167
    assert max(shown["most_s"]) == pytest.approx(step_s.max(), rel=1e-5)
    assert min(shown["least_s"]) == pytest.approx(step_s.min(), rel=1e-5)
    assert shown["median_s"][1] == pytest.approx(np.median(step_s[3:6]), rel=1e-5)
    assert shown["x"][1] == 5.0  # steps 4, 5 and 6
