"""Figures of what-ifs, replays, sweeps, papers, validations and differences draw their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from scenarios import figures
from scenarios.explore.table import SweepTable, read_sweep
from scenarios.figures.misses import replay_figures
from scenarios.figures.pair import difference_figures
from scenarios.figures.sweep_map import sweep_figures
from scenarios.figures.validation import validation_figures
from scenarios.load import load_scenario
from scenarios.published.load import load_paper
from scenarios.report.deviations import by_cause
from scenarios.results import ScenarioResult
from scenarios.validate import Validation, validate_suite
from scenarios.validation_page import Collected
from scenarios.whatif.answer import Answer
from scenarios.whatif.levers import Lever
from scenarios.whatif.tornado import panels
from scenarios.whatif.trial import Pace
from sim.replay.study import Study, study
from sim.timeline_diff import difference
from tests.figure_parts import Values, bars, by_name, curves, lengths, margins, marked, row_names, uprights
from tests.report_pages import small_result
from tests.scenario_files import write_files
from tests.sweep_tables import grid_rows, write_sweep
from tests.test_published_page import BOUND, MET, MISSED, OUTCOMES
from tests.test_published_spec import paper, written
from tests.test_scenario_validate import slower
from tests.traces import random_trace


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    return small_result(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Validation, Collected]:
    """A computer that is a quarter slower than predicted."""
    collected, suite = Collected(), [load_scenario(write_files(tmp_path_factory.mktemp("suite")))]
    found = validate_suite("s", suite, slower(1.3, 1.25, 1.2), progress=lambda text, share: None, seen=collected.add)
    return found, collected


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> SweepTable:
    return read_sweep(write_sweep(tmp_path_factory.mktemp("sweep")))


@pytest.fixture(scope="module", params=["layer", "global"])
def replayed(request: pytest.FixtureRequest) -> Study:
    trace = random_trace([(4, 60), (0, 40)], n_layers=3, n_experts=8, seed=1)
    return study(trace, ["lru", "fifo"], (2, 4, 6), scope=request.param)


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def none_is_cut(made: Iterator[tuple[str, Figure | None]]) -> dict[str, Figure]:
    found = {name: figure for name, figure in made if figure is not None}
    assert [name for name, figure in found.items() if min(margins(figure)) < 0] == []
    return found


def answer(result: ScenarioResult, *levers: Lever) -> Answer:
    return Answer("what if", "toy", result["lru"], levers)


def test_a_tornado_reaches_to_half_twice_and_the_limit(result: ScenarioResult) -> None:
    link = Lever("link", "", Pace(0.8, 0.9), 0.01, {"× 2": Pace(1.7, 1.8), "none": Pace(9.0, 2.5)}, Pace(0.6, 0.5))
    guess = Lever(
        "guess", "", Pace(None, None), 0.1, {"recall 0.9": Pace(1.1, 1.0), "perfect": Pace(1.3, 1.0)}, Pace(None, None)
    )
    asked = answer(result, link, guess)
    figure = drawn(figures.tornado(asked))
    assert list(row_names(figure.axes[0]).values()) == ["link", "guess: recall 0.9"]
    for axes, panel in zip(figure.axes, panels(asked), strict=True):
        for at, row in enumerate(panel.rows):
            wanted = [pace for pace in (row.limit, row.twice, row.half) if pace is not None]
            assert [end for _, end in bars(axes)[at]] == pytest.approx(wanted)
    assert min(margins(figure)) >= 0


def test_miss_ratios_are_those_of_the_study(replayed: Study) -> None:
    found = none_is_cut(replay_figures(replayed))
    assert set(found) == {"miss-ratios", "misses-by-cause"} | (
        {"misses-by-layer"} if replayed.scope == "layer" else set()
    )
    for policy, (size, ratio) in zip(replayed.policies, curves(found["miss-ratios"].axes[0]), strict=True):
        assert size == pytest.approx(np.array(replayed.capacities) / replayed.cache_experts)
        assert ratio == pytest.approx(replayed.miss_ratios(policy))
    for policy, parts in by_name(found["misses-by-cause"]).items():
        assert sum(parts) == pytest.approx(replayed.miss_ratios(policy)[0 if replayed.scope == "layer" else 2])
    if replayed.scope == "layer":
        for policy, (_, ratio) in zip(replayed.policies, curves(found["misses-by-layer"].axes[0]), strict=True):
            assert ratio == pytest.approx(replayed.layer_miss_ratios(policy)[0])


def test_a_front_is_what_no_other_run_beats(sweep: SweepTable) -> None:
    (axes,) = drawn(figures.pareto(sweep)).axes
    done = [row for row in grid_rows() if row["status"] == "done"]
    points = [(row["gpu_gb"], row["decode_tokens_per_s"]) for row in done]
    assert marked(axes) == pytest.approx(np.array(sorted(points)))
    able = [point for point, row in zip(points, done, strict=True) if row["feasible"]]
    best = {(x, y) for x, y in able if not any((a <= x and b >= y) and (a, b) != (x, y) for a, b in able)}
    ((across, up),) = curves(axes)
    assert set(zip(across.tolist(), up.tolist(), strict=True)) == best


def test_a_map_has_the_best_run_of_each_place(sweep: SweepTable) -> None:
    axes = drawn(figures.sweep_map(sweep)).axes[0]
    grid: Values = np.ma.filled(np.ma.asarray(axes.images[0].get_array()), np.nan)
    best: dict[tuple[str, str], float] = {}
    for row in grid_rows():
        if row["feasible"]:
            place = f"{row['cache']:g}", f"{row['machine_with.link.gb_per_s']:g}"
            best[place] = max(best.get(place, 0.0), row["decode_tokens_per_s"])
    across, up = ([label.get_text() for label in axis.get_ticklabels()] for axis in (axes.xaxis, axes.yaxis))
    shown = {(x, y): grid[j, i] for i, x in enumerate(across) for j, y in enumerate(up) if not np.isnan(grid[j, i])}
    assert shown == pytest.approx(best)
    none_is_cut(sweep_figures(sweep))


def test_a_map_puts_many_values_into_bins() -> None:
    from scenarios.figures.sweep_map import places

    few = places([1, 2, None, 2])
    assert (few.labels, few.of.tolist()) == (["1", "2"], [0, 1, -1, 1])
    many = places([float(2**i) for i in range(48)])
    assert len(many.labels) == 16
    assert many.of.tolist() == [i // 3 for i in range(48)]


def test_a_sweep_of_one_axis_has_no_map(tmp_path: Path) -> None:
    table = read_sweep(write_sweep(tmp_path, grid_rows(links=[25.0]), axes=["cache"]))
    assert figures.sweep_map(table) is None


def test_published_figures_lie_over_what_was_reported(tmp_path: Path) -> None:
    file = load_paper(written(tmp_path, paper(figures=[MET, MISSED, BOUND])))
    (axes,) = drawn(figures.papers([file], OUTCOMES)).axes
    known = OUTCOMES["mine"]["box"].figures
    assert marked(axes) == pytest.approx(np.array(sorted([(4, 4.2), (MISSED["reported"], 6.0), (0.4, 0.35)])))
    assert uprights(axes) == [(4, known["one"].low, known["one"].high), (0.4, known["three"].low, known["three"].high)]


def test_predictions_and_their_errors(seen: tuple[Validation, Collected]) -> None:
    found, collected = seen
    made = none_is_cut(validation_figures(*seen))
    points = [(x[0], y[0]) for x, y in curves(made["predicted-and-measured"].axes[0]) if len(x) == 1]
    assert [y / x for x, y in points] == pytest.approx([0.8] * len(found.schedules))
    errors = list(lengths(made["errors-by-schedule"].axes[0]).values())
    assert errors == [pytest.approx([-0.2])] * len(found.schedules)
    causes = by_name(made["errors-by-cause"])
    known = {row.name: row.value for row in by_cause(collected.causes, ("", "")) if row.name in causes}
    factor = 1e3 if ", ms" in made["errors-by-cause"].axes[0].get_xlabel() else 1e6
    assert {name: length / factor for name, (length,) in causes.items()} == pytest.approx(known)
    assert "demand loads" in known


def test_measured_lanes_lie_over_simulated_ones(seen: tuple[Validation, Collected]) -> None:
    worst = seen[1].worst
    assert worst is not None
    _, measured, simulated = worst
    (axes,) = figures.gantt_pair(measured, simulated, ("measured", "simulated")).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:2] == ["Host, measured", "Host, simulated"]
    ends: dict[int, float] = {}
    for each in axes.collections:
        for path in each.get_paths():
            (_, low), (right, high) = path.get_extents().get_points()
            ends[round((low + high) / 2)] = max(ends.get(round((low + high) / 2), 0.0), right)
    assert max(ends[row] for row in ends if row % 2 == 0) == pytest.approx(axes.get_xlim()[1])
    assert max(ends[row] for row in ends if row % 2) == pytest.approx(0.8 * axes.get_xlim()[1])


def test_a_difference_has_its_changes_and_both_timelines(result: ScenarioResult) -> None:
    a, b = (result[label].timeline for label in ("lru", "prefetch"))
    found = difference(a, b)
    made = none_is_cut(difference_figures(found, a, b))
    assert set(made) == {"changes-by-cause", "changes-by-kind", "a-over-b"}
    assert next(iter(by_name(made["changes-by-cause"]))) == next(iter(found.causes))
