"""The data behind the panels of experts and of behaviour over time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scenarios.report import expert_maps as maps_module
from scenarios.report import over_time as over_time_module
from scenarios.report.expert_maps import expert_maps
from scenarios.report.over_time import over_time_data
from scenarios.report.packing import unpacked
from scenarios.report.page import render
from scenarios.report.palette import HEAT, SURFACES
from scenarios.report.ranking import Entry, rank
from scenarios.results import ScenarioResult
from sim.expert_use import expert_use
from tests.report_pages import data_of, read_page, small_result, with_runs
from tests.scenario_files import SCENARIO
from tests.test_report_looks import APART, VISION, distance

LOSSY = "  - {label: daop, name: daop, first_predicted: 1}\n"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    return small_result(tmp_path_factory.mktemp("small"), SCENARIO + LOSSY)


@pytest.fixture(scope="module")
def entries(result: ScenarioResult) -> list[Entry]:
    return rank(result.runs)


def grid(maps: dict[str, Any], run: int, name: str) -> NDArray[np.int64]:
    values = unpacked(maps["grids"][maps["runs"][run][name]]).astype(np.int64)
    return values.reshape(len(maps["layers"]), maps["n_experts"])


def test_each_map_holds_what_became_of_every_expert(entries: list[Entry]) -> None:
    maps = expert_maps(entries)
    assert (maps["layers"], maps["n_experts"]) == ([1, 2], 4)
    for i, entry in enumerate(entries):
        use = expert_use(entry.run.timeline)
        for name in ("uses", "tokens", "loaded", "on_cpu"):
            np.testing.assert_array_equal(grid(maps, i, name), getattr(use, name), err_msg=f"{entry.label} {name}")
        share = grid(maps, i, "resident") / maps["always"]
        np.testing.assert_allclose(share, use.resident, atol=1 / maps["always"])
        assert ((share == 1) == (use.resident > 1 - 1e-6)).all(), "only what never left counts as always there"


def test_misses_and_uses_give_the_hit_rate_of_the_table(entries: list[Entry]) -> None:
    maps = expert_maps(entries)
    for i, entry in enumerate(entries):
        misses = grid(maps, i, "loaded").sum() + grid(maps, i, "on_cpu").sum()
        assert 1 - misses / grid(maps, i, "uses").sum() == pytest.approx(entry.run.summary.hit_rate)


def test_popularity_is_stored_once_for_all_that_follow_the_router(entries: list[Entry]) -> None:
    maps = expert_maps(entries)
    follow = {each["uses"] for each, entry in zip(maps["runs"], entries, strict=True) if entry.run.strategy != "daop"}
    assert len(follow) == 1
    assert len(maps["grids"]) == len(set(maps["grids"]))


def test_maps_beyond_the_budget_are_left_out(entries: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = expert_maps(entries)
    monkeypatch.setattr(maps_module, "_BUDGET", sum(map(len, whole["grids"])) // 2)
    some = expert_maps(entries)
    assert some["runs"][0] is not None
    assert some["runs"][-1] is None
    assert sum(map(len, some["grids"])) <= maps_module._BUDGET


def test_points_add_up_to_the_summaries(entries: list[Entry]) -> None:
    for entry, phases in zip(entries, over_time_data(entries), strict=True):
        parts = phases.values()
        uses, hits = (sum(sum(part[name]) for part in parts) for name in ("uses", "hits"))
        assert hits / uses == pytest.approx(entry.run.summary.hit_rate)
        loaded = sum(sum(map(sum, part["loaded_gb"].values())) for part in parts)  # each point is one step here
        assert loaded == pytest.approx(entry.run.summary.bytes_loaded / 1e9, rel=1e-3)
        assert [len(part["x"]) for part in (phases["prefill"], phases["decode"])] == [1, 3]
        for part in parts:
            assert all(
                len(column) == len(part["x"]) for column in (*part["busy"].values(), *part["loaded_gb"].values())
            )
            assert all(0 <= share <= 1 for column in part["busy"].values() for share in column)


def test_points_of_several_steps_say_which(entries: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_MOST_POINTS", "_FEWEST_POINTS"):
        monkeypatch.setattr(over_time_module, name, 2)
    decode = over_time_data(entries)[0]["decode"]
    assert (decode["per_point"], decode["x"]) == (2, [1.5, 3.0])


def test_very_many_strategies_have_fewer_points_each(entries: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_time_module, "_FEWEST_POINTS", 1)
    monkeypatch.setattr(over_time_module, "_POINT_BUDGET", 2 * len(entries))
    assert all(len(phases["decode"]["x"]) <= 2 for phases in over_time_data(entries))


def test_the_page_has_both_panels_and_their_data(result: ScenarioResult, entries: list[Entry]) -> None:
    page = read_page(render(result))
    anchors = [section.attributes["id"] for section in page.find("section")]
    assert anchors.index("experts") + 1 == anchors.index("over-time")
    data = data_of(page)
    assert data["expert_maps"] == expert_maps(entries)
    assert data["over_time"] == over_time_data(entries)


def test_streamed_runs_have_no_part_in_the_panels(result: ScenarioResult) -> None:
    first, *others = result.runs
    streamed = [replace(run, streamed=True) for run in others]
    data = data_of(read_page(render(with_runs(result, first, *streamed))))
    assert len(data["expert_maps"]["runs"]) == len(data["over_time"]) == len(data["runs"]) == 1
    page = read_page(render(with_runs(result, *streamed)))
    assert not page.find("section", id="experts") + page.find("section", id="over-time")


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("vision", VISION)
def test_scales_lead_away_from_the_page_in_steps_that_can_be_told_apart(vision: str, theme: int) -> None:
    for stops in HEAT.values():
        colours = [pair[theme] for pair in stops]
        away = [distance(SURFACES["page"][theme], colour, vision) for colour in colours]
        assert away == sorted(away)
        assert all(distance(one, other, vision) >= APART for one, other in pairwise(colours))
