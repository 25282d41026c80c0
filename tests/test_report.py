from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from scenarios.report import write_report
from scenarios.report.page import render
from scenarios.results import ScenarioResult
from sim.errors import InputError
from sim.fidelity import Fidelity
from sim.intervals import Range
from tests.report_pages import Element, data_of, read_page, renamed, small_result, summary_of, with_runs
from tests.scenario_files import SCENARIO

MOST_BYTES = 8 * 10**6
BRACKETS = {"all-resident", "oracle"}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    return small_result(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def page(result: ScenarioResult) -> Element:
    return read_page(render(result))


def panel(page: Element, title: str) -> list[tuple[str, float]]:
    (found,) = [each for each in page.find("div", class_="panel") if each.find("h3")[0].text.startswith(title)]
    return [(bar.attributes["data-label"], float(bar.attributes["data-value"])) for bar in found.find("li")
            if "data-value" in bar.attributes]  # fmt: skip


def test_the_file_loads_nothing_from_outside(page: Element) -> None:
    everything = page.find()
    assert not [e for e in everything if "src" in e.attributes or "srcset" in e.attributes]
    links = [e.attributes["href"] for e in everything if "href" in e.attributes]
    assert links
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not re.search(r"url\(|@import|https?:", "".join(style.text for style in page.find("style")))
    (policy,) = page.find("meta", http_equiv="Content-Security-Policy")
    assert policy.attributes["content"].startswith("default-src 'none'")
    assert "http" not in policy.attributes["content"]


def test_plotly_is_inlined_once(page: Element) -> None:
    assert sum("plotly.js v" in script.text for script in page.find("script")) == 1


def test_links_of_the_header_lead_to_sections(page: Element) -> None:
    anchors = {section.attributes["id"] for section in page.find("section")}
    (nav,) = page.find("nav")
    assert {link.attributes["href"].removeprefix("#") for link in nav.find("a")} == anchors


def test_equal_results_give_equal_bytes(result: ScenarioResult, tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_report(tmp_path / name, result)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_report_of_very_many_strategies_stays_within_8_mb(result: ScenarioResult, tmp_path: Path) -> None:
    runs = [renamed(run, f"{run.label} {i}") for i in range(25) for run in result.runs]
    write_report(tmp_path / "report.html", with_runs(result, *runs))
    assert (tmp_path / "report.html").stat().st_size <= MOST_BYTES


@pytest.mark.parametrize(
    ("title", "figure", "descending"),
    [("Decode speed", "decode_tokens_per_s", True), ("Time to first token", "ttft_s", False)],
)
def test_bars_are_the_figures_of_the_summaries_best_first(
    page: Element, result: ScenarioResult, title: str, figure: str, descending: bool
) -> None:
    bars = panel(page, title)
    assert dict(bars) == {run.label: getattr(run.summary, figure) for run in result.runs}
    choices = [value for label, value in bars if label not in BRACKETS]
    assert choices == sorted(choices, reverse=descending)
    assert {label for label, _ in bars[len(choices) :]} == BRACKETS  # apart, at the end


def test_whiskers_hold_the_ranges_where_there_are_some(result: ScenarioResult) -> None:
    run = result.runs[1]
    known = replace(run, ranges={"ttft_s": Range(0.5 * run.summary.ttft_s, 1.5 * run.summary.ttft_s)})  # type: ignore[operator]
    page = read_page(render(with_runs(result, known, *result.runs[2:])))
    (whisker,) = page.find("i", class_="whisker")
    assert [float(whisker.attributes[end]) for end in ("data-low", "data-high")] == [*known.ranges["ttft_s"]]
    left, width = re.findall(r"[\d.]+(?=%)", whisker.attributes["style"])
    assert float(width) == pytest.approx(2 * float(left), rel=0.01)


def test_lane_shares_are_those_of_the_summary(page: Element, result: ScenarioResult) -> None:
    (grid,) = page.find("div", class_="lanes")
    rows = [row for row in grid.children if "data-label" in row.attributes]
    assert {row.attributes["data-label"] for row in rows} == {run.label for run in result.runs}
    for row in rows:
        utilisation = summary_of(result, row.attributes["data-label"]).utilisation
        shown = [
            float(cell.attributes["data-value"])
            for cell in row.find("span", class_="cell")
            if "data-value" in cell.attributes
        ]
        assert sorted(shown) == pytest.approx(sorted(share for share in utilisation.values() if share))
        for cell in row.find("span", class_="cell"):
            if "data-value" in cell.attributes:
                widths = [float(re.search(r"width:([\d.]+)%", i.attributes["style"])[1]) for i in cell.find("i")]  # type: ignore[index]
                assert sum(widths) == pytest.approx(100 * float(cell.attributes["data-value"]), abs=0.2)


def test_memory_bars_show_the_footprint_and_what_is_too_much(page: Element, result: ScenarioResult) -> None:
    totals = dict(panel(page, "GPU memory"))
    by_label = {label: total for labels, total in totals.items() for label in labels.split(", ")}
    assert by_label == {run.label: run.footprint.total_bytes for run in result.runs}
    (section,) = page.find("section", id="memory")
    assert section.text.count("too much") == 1


def test_the_table_has_a_row_for_each_strategy_with_the_best_first(page: Element, result: ScenarioResult) -> None:
    (section,) = page.find("section", id="numbers")
    names = [row.find("th")[0].text for row in section.find("tbody")[0].find("tr")]
    assert len(names) == len(result.runs)
    (verdict,) = page.find("p", class_="verdict")
    assert names[0] == verdict.find("strong")[0].text


def test_assumptions_state_origins_sources_and_warnings(page: Element, result: ScenarioResult) -> None:
    (section,) = page.find("section", id="assumptions")
    text = section.text
    for stated in ("datasheet", "made up", "synthetic", "fp32, 32 bits", "recall 0.5", "6 tokens in, 4 out"):
        assert stated in text, stated
    for run in result.runs:
        for warning in run.warnings:
            assert warning in text


def test_a_recorded_trace_is_named_as_such(result: ScenarioResult) -> None:
    scenario = {k: v for k, v in result.scenario.items() if k != "workload"}
    scenario["trace"] = {"file": "/data/chat.trace.arrow", "calibrate_on": 0.25, "batch": 2}
    page = read_page(render(replace(result, scenario=scenario)))
    (section,) = page.find("section", id="assumptions")
    assert "trace chat.trace.arrow, batch 2" in section.text
    assert "recorded" in section.text
    assert "synthetic" not in section.text


def test_titles_and_labels_are_escaped_everywhere(result: ScenarioResult) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    runs = [renamed(run, f"{run.label} {evil}") for run in result.runs]
    page = read_page(render(replace(with_runs(result, *runs), title=evil)))
    assert len(page.find("script")) == 3  # plotly, data, ours
    assert not page.find("img")
    assert page.find("title")[0].text == page.find("h1")[0].text == evil
    assert {run["label"] for run in data_of(page)["runs"]} == {run.label for run in runs}


def test_every_colour_used_is_defined(page: Element) -> None:
    styles = "".join(style.text for style in page.find("style"))
    inline = " ".join(e.attributes.get("style", "") for e in page.find())
    scripts = "".join(script.text for script in page.find("script")[1:])
    used = set(re.findall(r"var\((--[\w-]+)", styles + inline + scripts))
    defined = set(re.findall(r"(--[\w-]+):", styles + inline))
    assert used
    assert used <= defined


def test_a_run_without_decode_steps_is_reported_by_its_first_token(tmp_path: Path) -> None:
    result = small_result(tmp_path, SCENARIO.replace("output: 4", "output: 1"))
    assert all(run.summary.decode_tokens_per_s is None for run in result.runs)
    page = read_page(render(result))
    assert not page.find("section", id="latency")
    assert "Decode speed" not in page.find("section", id="comparison")[0].text
    assert len(panel(page, "Time to first token")) == len(result.runs)
    assert "first token" in page.find("p", class_="verdict")[0].text


def test_one_strategy_is_enough(result: ScenarioResult) -> None:
    run = next(run for run in result.runs if run.label == "lru")
    page = read_page(render(with_runs(result, run)))
    assert panel(page, "Decode speed") == [("lru", run.summary.decode_tokens_per_s)]
    assert len(data_of(page)["runs"]) == 1


def test_nothing_to_report_is_refused(result: ScenarioResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to report"):
        write_report(tmp_path / "report.html", with_runs(result))
    assert not list(tmp_path.iterdir())


def test_an_unwritable_path_is_refused_and_nothing_is_left(result: ScenarioResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"report\.html: cannot be written"):
        write_report(tmp_path / "file" / "report.html", result)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_fidelity_to_routing_is_shown_as_soon_as_one_strategy_does_not_follow_the_router(
    result: ScenarioResult,
) -> None:
    lossy = renamed(result.runs[0], "lossy", fidelity=Fidelity(0.25, None, 0.25, None, (0.25,)))
    for runs, shown in ((result.runs, False), ((lossy, *result.runs[1:]), True)):
        table = read_page(render(with_runs(result, *runs))).find("table")
        heads = {head.text for each in table for head in each.find("th")}
        assert any(head.startswith("Other experts") for head in heads) is shown
