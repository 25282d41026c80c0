from __future__ import annotations

import pytest

from scenarios.report.page import render
from scenarios.results import ScenarioResult
from sim.critical_path import Cause, critical_path
from tests.report_pages import Element, read_page, small_result


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    return small_result(tmp_path_factory.mktemp("pace"))


@pytest.fixture(scope="module")
def page(result: ScenarioResult) -> Element:
    return read_page(render(result))


def width(part: Element) -> float:
    return float(part.attributes["style"].split("width:")[1].split("%")[0])


def test_the_parts_of_a_path_are_its_causes_and_add_up_to_the_run(page: Element, result: ScenarioResult) -> None:
    (section,) = page.find("section", id="pace")
    paths, _ = section.find("ul", class_="pace")
    for run in result.runs:
        (item,) = paths.find("li", data_label=run.label)
        shown = {Cause(int(part.attributes["data-cause"])).label: part for part in item.find("button")}
        spent = critical_path(run.timeline, result.costs(run)).seconds("cause")
        assert {name: float(part.attributes["data-seconds"]) for name, part in shown.items()} == pytest.approx(
            {name: s for name, s in spent.items() if s >= 5e-4 * run.timeline.makespan_s}
        )
        assert sum(map(width, shown.values())) == pytest.approx(100, abs=0.5)
        (said,) = item.find("span", class_="said")
        assert said.text.startswith(next(iter(spent)))


def test_the_way_from_the_limit_is_the_gap_of_each_run(page: Element, result: ScenarioResult) -> None:
    (section,) = page.find("section", id="pace")
    _, gaps = section.find("ul", class_="pace")
    for run in result.runs:
        assert run.gap is not None
        (item,) = gaps.find("li", data_label=run.label)
        parts = {part.attributes["data-part"]: float(part.attributes["data-seconds"]) for part in item.find("i")}
        assert parts["limit"] == run.gap.limit_s
        assert sum(parts.values()) == pytest.approx(run.summary.makespan_s, rel=3e-3)
        assert "of the limit" in item.text


def test_the_whole_run_is_compared_with_its_limit(page: Element, result: ScenarioResult) -> None:
    marks = page.find("i", class_="limit")
    limits = {float(mark.attributes["data-limit"]) for mark in marks if "data-limit" in mark.attributes}
    assert limits == {run.limit.limit_s for run in result.runs if run.limit is not None}
