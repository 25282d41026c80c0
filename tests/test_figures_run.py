"""Figures of a run draw the numbers that the run has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from scenarios import figures
from scenarios.figures.run import run_figures
from scenarios.figures.style import LINE
from scenarios.load import load_scenario
from scenarios.report.gantt_rows import rows_of
from scenarios.report.ranking import rank
from scenarios.results import ScenarioResult
from scenarios.run import run_scenario
from sim.critical_path import critical_path
from sim.errors import InputError
from sim.expert_use import expert_use
from sim.intervals import Range
from sim.over_time import over_time
from sim.schedule import Phase
from tests.figure_parts import bars, by_name, curves, lengths, row_names, uprights
from tests.report_pages import small_result, with_runs
from tests.scenario_files import SCENARIO, write_files

SOME = ("all-resident", "prefetch", "lru")


def some(result: ScenarioResult) -> ScenarioResult:
    return with_runs(result, *(run for run in result.runs if run.label in SOME))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    """Three strategies, one of which does not fit, and a range of one of them."""
    found = some(small_result(tmp_path_factory.mktemp("figures")))
    speed = found["lru"].summary.decode_tokens_per_s
    assert speed is not None
    ranged = replace(found["lru"], ranges={"decode_tokens_per_s": Range(0.9 * speed, 1.2 * speed)})
    return with_runs(found, *(ranged if run.label == "lru" else run for run in found.runs))


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def name_of(label: str) -> str:
    return {"all-resident": "all-resident (does not fit)"}.get(label, label)


def test_bars_reach_to_the_values_and_show_ranges_and_limits(result: ScenarioResult) -> None:
    figure = drawn(figures.comparison(result))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Decode speed", "Time to first token", "Whole run"]
    speeds, _, runs = figure.axes
    names = {name_of(run.label): run for run in result.runs}

    for at, name in row_names(speeds).items():
        summary, limit = names[name].summary, names[name].limit
        assert limit is not None
        assert bars(speeds)[at][0][1] == pytest.approx(summary.decode_tokens_per_s)
        factor = 1e3 if "ms" in runs.get_xlabel() else 1e6
        assert bars(runs)[at][0][1] == pytest.approx(factor * summary.makespan_s)
        middles = [(x, (low + high) / 2) for x, low, high in uprights(runs)]
        assert any(np.allclose(middle, (factor * limit.limit_s, at)) for middle in middles)
    whiskers = [x for x, _ in curves(speeds) if len(x) == 2]
    assert np.array(whiskers) == pytest.approx(np.array([result["lru"].ranges["decode_tokens_per_s"]]))


def test_paths_and_gaps_are_shares_of_the_run(result: ScenarioResult) -> None:
    paths, gaps = by_name(drawn(figures.critical_path(result))), by_name(drawn(figures.gap(result)))
    for run in result.runs:
        spent = critical_path(run.timeline, result.costs(run)).seconds("cause").values()
        visible = [s / run.summary.makespan_s for s in spent if s >= 5e-4 * run.summary.makespan_s]
        assert sorted(paths[name_of(run.label)]) == pytest.approx(sorted(np.array(visible) / sum(visible)))
        assert run.gap is not None
        parts = [s for s in (run.gap.limit_s, *run.gap.parts.values()) if s > 0]
        assert sorted(gaps[name_of(run.label)]) == pytest.approx(sorted(np.array(parts) / sum(parts)))


def test_lanes_are_as_busy_as_the_summary_says(result: ScenarioResult) -> None:
    figure = drawn(figures.where_time_goes(result))
    lanes = {"Host": "host", "GPU": "gpu0", "H2D": "gpu0.h2d", "D2H": "gpu0.d2h", "CPU": "cpu"}
    for panel, axes in enumerate(figure.axes):
        for run in result.runs:
            busy = run.summary.utilisation.get(lanes[axes.get_title(loc="left")], 0.0)
            assert sum(by_name(figure, panel)[name_of(run.label)]) == pytest.approx(busy, abs=5e-3)


def test_memory_is_that_of_the_footprints(result: ScenarioResult) -> None:
    gpu, host = drawn(figures.memory(result)).axes
    for axes, what in ((gpu, "footprint"), (host, "host_footprint")):
        factor = {"kB": 1e-3, "MB": 1e-6}[axes.get_xlabel()]
        totals = {getattr(run, what).total_bytes for run in result.runs}
        assert {round(sum(parts) / factor) for parts in lengths(axes).values()} == totals - {0}


def test_steps_and_their_distribution(result: ScenarioResult) -> None:
    over, spread = drawn(figures.latency(result)).axes
    longest = max(run.summary.tpot_p95_s or 0 for run in result.runs)
    factor = 1e3 if "ms" in over.get_ylabel() else 1e6
    assert max(up.max() for _, up in curves(over)) >= factor * longest
    for _, share in curves(spread):
        assert (share[0], share[-1]) == (0, 1)
        assert (np.diff(share) >= 0).all()
    medians = sorted(factor * (run.summary.tpot_p50_s or 0) for run in result.runs)
    read = [np.interp(0.5, share, time) for time, share in curves(spread)]
    assert sorted(read) == pytest.approx(medians, rel=0.2)


def test_hit_rates_over_time_are_those_of_the_run(result: ScenarioResult) -> None:
    axes = drawn(figures.over_time(result)).axes[0]
    assert axes.get_title(loc="left") == "Hit rate, %"
    steps = sum(step.phase == Phase.DECODE for step in result["lru"].schedule.steps)
    assert [len(x) for x, _ in curves(axes)] == [steps] * len(result.runs)
    for run, (_, rates) in zip(reversed(rank(result.runs)), curves(axes), strict=True):  # the best one on top
        known = over_time(run.run.timeline, Phase.DECODE).hit_rate
        assert rates == pytest.approx(known)


def test_heat_maps_hold_the_counts(result: ScenarioResult) -> None:
    figure, use = drawn(figures.experts(result, "lru")), expert_use(result["lru"].timeline)
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    for grid, known in zip(shown, (use.uses, 100 * use.resident, use.misses), strict=True):
        assert grid == pytest.approx(known)


def spans(figure: Figure) -> dict[str, float]:
    """Drawn time of each lane."""
    (axes,) = figure.axes
    total = dict.fromkeys((label.get_text() for label in axes.get_yticklabels()), 0.0)
    for collection in axes.collections:
        assert isinstance(collection, PolyCollection)
        for path in collection.get_paths():
            (left, low), (right, high) = path.get_extents().get_points()
            total[[*total][round((low + high) / 2)]] += right - left
    return total


def test_a_gantt_draws_all_that_the_lanes_did(result: ScenarioResult) -> None:
    figure = drawn(figures.gantt(result, "lru"))
    run, (axes,) = result["lru"], figure.axes
    assert "whole run" in axes.get_xlabel()
    rows, names = rows_of(run.timeline), [lane.name for lane in run.schedule.lanes]
    factor = axes.get_xlim()[1] / run.summary.makespan_s
    busy = {name: float((rows.end_s - rows.start_s)[rows.lane == i].sum()) for i, name in enumerate(names)}
    shown = spans(figure)
    assert shown["H2D"] == pytest.approx(factor * busy["gpu0.h2d"], rel=0.01)
    assert shown["GPU"] == pytest.approx(factor * busy["gpu0"], rel=0.03)


def test_a_gantt_by_cause_has_the_whole_path_in_colour(result: ScenarioResult) -> None:
    (axes,) = drawn(figures.gantt(result, "prefetch", by="cause")).axes
    coloured = [each for each in axes.collections if to_hex(np.asarray(each.get_facecolor())[0].tolist()) != LINE]
    length = sum(float(np.ptp(path.get_extents().get_points()[:, 0])) for each in coloured for path in each.get_paths())
    assert length == pytest.approx(axes.get_xlim()[1], rel=0.05)


def test_a_gantt_of_chosen_layers(result: ScenarioResult) -> None:
    (axes,) = drawn(figures.gantt(result, "lru", step=1, layers=[1, 2])).axes
    assert "decode, step 2, layers 1–2" in axes.get_xlabel()
    with pytest.raises(InputError, match="there are 3 decode steps"):
        figures.gantt(result, "lru", step=3, layers=[0])
    with pytest.raises(InputError, match="no such strategy"):
        figures.gantt(result, "nobody")


def test_streamed_runs_have_the_figures_that_need_no_ops(tmp_path: Path) -> None:
    text = SCENARIO[: SCENARIO.index("strategies:")] + "strategies: [on-demand, fiddler]\n"
    streamed = run_scenario(load_scenario(write_files(tmp_path, text)), streamed=True)
    assert [name for name, figure in run_figures(streamed) if figure is not None] == ["comparison", "memory"]
