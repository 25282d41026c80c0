from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenarios.load import load_scenario
from scenarios.report.packing import unpacked
from scenarios.validate import Validation, validate_suite
from scenarios.validation_page import Collected, collect
from scenarios.validation_page.page import render
from tests.browser import needs_chromium, told
from tests.report_pages import Element, data_of, read_page
from tests.scenario_files import write_files
from tests.test_scenario_validate import slower


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Validation, Collected]:
    """A computer that is a quarter slower than predicted."""
    collected = Collected()
    path = write_files(tmp_path_factory.mktemp("suite"))
    suite = [load_scenario(path)]
    found = validate_suite(
        "suite <1>", suite, slower(1.3, 1.25, 1.2), progress=lambda text, share: None, seen=collected.add
    )
    return found, collected


@pytest.fixture(scope="module")
def page(seen: tuple[Validation, Collected]) -> Element:
    return read_page(render(*seen))


def test_each_schedule_has_its_error_and_a_point(page: Element, seen: tuple[Validation, Collected]) -> None:
    found, _ = seen
    (section,) = page.find("section", id="schedules")
    bars = {item.find("span", class_="name")[0].text: item for item in section.find("li")}
    assert set(bars) == {f"{each.scenario} · {each.label}" for each in found.schedules}
    assert all(float(item.attributes["data-value"]) == pytest.approx(-0.2) for item in bars.values())
    points = data_of(page)["points"]
    assert [point["label"] for point in points] == [each.label for each in found.schedules]
    assert all(point["predicted_s"] == pytest.approx(0.8 * point["measured_s"]) for point in points)
    assert "suite <1>" in page.find("h1")[0].text


def test_the_error_of_the_paths_is_split_by_cause(page: Element, seen: tuple[Validation, Collected]) -> None:
    found, collected = seen
    missing_s = sum(each.comparison.predicted_s - each.comparison.measured_s for each in found.schedules)
    assert sum(there - here for here, there in collected.causes.values()) == pytest.approx(missing_s)
    (section,) = page.find("section", id="causes")
    bars = section.find("ul", class_="pace")[0].find("li")
    assert sum(float(bar.attributes["data-value"]) for bar in bars) == pytest.approx(missing_s)


def test_the_middle_run_lies_over_its_prediction(page: Element, seen: tuple[Validation, Collected]) -> None:
    found, _ = seen
    runs = data_of(page)["runs"]
    assert len(runs) == len(found.schedules)
    for run in runs:
        (view,) = run["views"]
        rows = {name: unpacked(view["rows"][name]) for name in ("lane", "start", "length", "kind", "layer", "expert")}
        end_s = (rows["start"].astype(float) + rows["length"]) * view["tick_s"]
        upper = rows["lane"] % 2 == 0
        assert [run["notes"][i] for i in (0, 1)] == ["measured", "simulated"]
        assert end_s[upper].max() == pytest.approx(1.25 * end_s[~upper].max())
        for name in ("kind", "layer", "expert"):  # the same ops
            assert np.array_equal(np.sort(rows[name][upper]), np.sort(rows[name][~upper]))


def test_the_largest_errors_come_first_and_a_page_has_room_for_some(
    seen: tuple[Validation, Collected], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, collected = seen
    first = collected.shown()[0]
    monkeypatch.setattr(collect, "_ROW_BUDGET", first["views"][0]["count"])
    assert collected.shown() == [first]
    runs = data_of(read_page(render(found, collected)))["runs"]
    assert len(runs) == len(found.schedules)
    assert [bool(run["views"]) for run in runs].count(True) == 1


@pytest.mark.long
@needs_chromium
def test_the_page_draws_pairs_and_points(tmp_path: Path, seen: tuple[Validation, Collected]) -> None:
    reader = """
    await gantt.ready; await plotlyReady;
    const { view } = gantt.state;
    return { lanes: view.lanes.length, notes: gantt.state.run.notes.slice(0, 2), points: document.getElementById("scatter-plot").data.length,
      busy: gantt.picture.busy.some((share) => share > 0), overflow: document.body.scrollWidth > innerWidth };
    """  # noqa: E501
    shown = told(tmp_path, render(*seen), reader)
    assert shown.pop("lanes") >= 4
    assert shown == {"notes": ["measured", "simulated"], "points": 4, "busy": True, "overflow": False}


def test_a_pair_of_measured_and_simulated_path_has_both_lengths(seen: tuple[Validation, Collected]) -> None:
    _, collected = seen
    (view,) = collected.shown()[0]["views"]
    path = {name: unpacked(view["path"][name]) for name in ("lane", "length")}
    upper = path["lane"] % 2 == 0
    assert path["length"][upper].sum() == pytest.approx(1.25 * path["length"][~upper].sum(), rel=1e-5)
