from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenarios.report import data as report_data
from scenarios.report.categories import CATEGORIES, DISPATCH, WAIT, busy_s
from scenarios.report.gantt import TICK_S, rows_of, views, windows
from scenarios.report.latency import latency
from scenarios.report.ranking import rank
from scenarios.results import ScenarioResult
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


def expected_bars(timeline: Timeline, start_s: float, end_s: float) -> list[tuple[int, ...]]:
    """Every op and dispatch that overlaps a window, as lane, category, kind, layer, expert, bytes, start, length."""
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
            if begin < end and begin < end_s and end > start_s:
                first, last = (round((t - start_s) / TICK_S) for t in (begin, end))
                bars.append((lane, code, *what, first, last - first))
        free_s = times.end_s[i] if ops.lane[i] == 0 else times.dispatched_s[i]
    return bars


def test_gantt_bars_are_the_timeline_of_the_chosen_steps(result: ScenarioResult) -> None:
    for timeline in timelines(result):
        for window, view in zip(windows(timeline, MANY), views(timeline, MANY), strict=True):
            bars = view["bars"]
            sizes = [view["sizes"][i] for i in bars["size"]]
            columns = (bars[name] for name in ("lane", "category", "kind", "layer", "expert"))
            shown = list(zip(*columns, sizes, bars["start"], bars["length"], strict=True))
            assert sorted(shown) == sorted(expected_bars(timeline, window.start_s, window.end_s))


def test_windows_are_the_first_prefill_and_three_decode_steps_from_the_middle(result: ScenarioResult) -> None:
    for timeline in timelines(result):
        prefill, decode = windows(timeline, MANY)
        ends = timeline.step_end_s
        assert (prefill.phase, prefill.first, prefill.steps, prefill.start_s) == (Phase.PREFILL, 0, 1, 0.0)
        assert prefill.end_s == ends[0]
        assert (decode.first, decode.steps) == (19, 3)  # decode steps are numbers 1 to 39
        assert (decode.start_s, decode.end_s) == (ends[18], ends[21])
        assert [view["title"] for view in views(timeline, MANY)] == ["Prefill", "Decode, steps 19–21"]


def test_a_window_holds_every_op_of_its_steps_but_those_that_start_after_the_last_token(result: ScenarioResult) -> None:
    for timeline in timelines(result):
        ops, times = timeline.schedule.ops, timeline.times
        rows = rows_of(timeline)
        for window in windows(timeline, MANY):
            mine = (ops.step >= window.first) & (ops.step < window.first + window.steps)
            mine &= (times.end_s > times.start_s) & (times.start_s < window.end_s)
            assert set(np.flatnonzero(mine)) <= set(rows.op[rows.within(window)])


def test_where_bars_are_limited_fewer_steps_and_then_fewer_layers_are_shown(result: ScenarioResult) -> None:
    timeline = timelines(result)[0]
    whole = len(views(timeline, MANY)[1]["bars"]["start"])
    fewer = views(timeline, whole - 1)[1]
    assert fewer["title"] == "Decode, steps 19–20"
    part = views(timeline, len(fewer["bars"]["start"]) // 3)[1]
    assert part["title"] == "Decode, step 19, first 2 of 3 layers"
    for most in (whole, whole - 1, whole // 2, whole // 4):
        assert len(views(timeline, most)[1]["bars"]["start"]) <= most


def test_bars_of_all_strategies_keep_to_a_budget(result: ScenarioResult, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = rank(result.runs)
    monkeypatch.setattr(report_data, "_BAR_BUDGET", 500)
    shown = report_data.data(entries)["runs"]
    assert [run["label"] for run in shown] == [entry.label for entry in entries]
    assert shown[0]["views"]
    assert not shown[-1]["views"]
    assert sum(len(view["bars"]["start"]) for run in shown for view in run["views"]) <= 500


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
        assert shown["median_s"] == pytest.approx(np.diff(timeline.step_end_s), rel=1e-5)


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
