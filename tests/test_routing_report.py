from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenarios.routing_presets import list_routings, load_routing
from scenarios.routing_report import SEEDS, Likeness, likeness, measure, parts
from sim.synth.fit import TOLERANCES, Goal

MEASURED = Path(__file__).parent.parent / "docs" / "data" / "routing.json"


def published() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", ["gpt-oss-20b", "mixtral-8x7b", "olmoe-1b-7b"])
def test_the_documented_statistics_are_those_of_the_program(name: str) -> None:
    assert measure([name], SEEDS)[name] == pytest.approx(published()[name], abs=1e-4)


@pytest.mark.parametrize("name", list_routings())
def test_every_statistic_of_every_preset_is_within_tolerance(name: str) -> None:
    assert [row for row in likeness(load_routing(name).goal, published()[name]) if row.misses] == []


@pytest.mark.parametrize("name", ["deepseek-v2-lite", "mixtral-8x7b", "olmoe-1b-7b"])
def test_another_seed_is_about_as_near(name: str) -> None:
    goal = load_routing(name).goal
    for row in likeness(goal, measure([name], seeds=[77])[name]):
        assert row.synthetic == pytest.approx(row.target, abs=1.5 * TOLERANCES[row.statistic]), row.statistic


def test_what_has_no_target_or_no_tolerance_is_not_compared() -> None:
    goal = Goal(2, 4, 2, [10], {"reuse": 0.5, "reuse_by_popularity": 0.4})
    rows = likeness(goal, {"reuse": 0.52, "reuse_by_popularity": 0.1, "entropy": 0.9})
    assert rows == [Likeness("reuse", 0.5, 0.52)]


@pytest.mark.parametrize(("synthetic", "misses"), [(0.53, False), (0.47, False), (0.5311, True), (0.4689, True)])
def test_a_miss_is_beyond_the_tolerance_in_the_digits_shown(synthetic: float, misses: bool) -> None:
    assert Likeness("reuse", 0.5, synthetic).misses is misses


def test_the_document_has_every_preset_and_marks_misses(tmp_path: Path) -> None:
    found = published()
    found["mixtral-8x7b"]["reuse"] = 0.9
    (tmp_path / "m.json").write_text(json.dumps(found))
    made = parts(tmp_path / "m.json")
    assert all(f"**{name}**" in made["likeness"] for name in list_routings())
    assert "**+0.525**" in made["likeness"]
    every = sum(len(likeness(load_routing(name).goal, found[name])) for name in list_routings())
    assert made["score"] == f"{every - 1} of {every} statistics are within tolerance."
