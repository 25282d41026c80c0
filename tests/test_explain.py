from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from scenarios.cli import app
from scenarios.explain import Explanation, explain, lines
from scenarios.load import load_scenario
from scenarios.report.ranking import contenders, rank
from scenarios.run import run_scenario
from tests.report_pages import data_of, read_page
from tests.scenario_files import SCENARIO, write_files

LABELS = ["stream", "lru", "prefetch", "cheaper", "fiddler", "daop"]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = SCENARIO + "  - {label: daop, name: daop, first_predicted: 1}\n"
    return write_files(tmp_path_factory.mktemp("tiny"), text)


@pytest.fixture(scope="module")
def found(scenario: Path) -> dict[str, Explanation]:
    return {label: explain(load_scenario(scenario), label) for label in LABELS}


def invoke(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(args))
    return result.exit_code, result.output


def test_an_explanation_adds_up(found: dict[str, Explanation]) -> None:
    for label, each in found.items():
        makespan_s = each.run.summary.makespan_s
        assert each.path.length_s == makespan_s
        assert each.gap.limit_s + sum(each.gap.parts.values()) == pytest.approx(makespan_s, rel=1e-9), label
        assert each.runner_up is not None and each.runner_up[0].label != label
        assert {"link", "gpu", "cpu"} <= {lever.name for lever in each.levers}


def test_it_fits_a_screen(found: dict[str, Explanation]) -> None:
    for label, each in found.items():
        text = list(lines(each))
        assert len(text) <= 20, label
        assert text[0].startswith(f"tiny question · {label} on")
        assert f"Bound by {next(iter(each.path.seconds('cause')))}" in text[3]


def test_what_would_change_it_is_what_it_is_bound_by(found: dict[str, Explanation]) -> None:
    """The link is the slow part of this machine: who loads everything gains by nothing else as much."""
    assert found["stream"].levers[0].name == "link"
    assert "so many times as fast: link " in "\n".join(lines(found["stream"]))


def test_the_best_that_can_be_used_is_explained_by_default(scenario: Path) -> None:
    file = load_scenario(scenario)
    best = contenders(rank(run_scenario(file).runs))[0].label
    code, output = invoke("explain", str(scenario))
    assert code == 0
    assert output.startswith(f"tiny question · {best} on toy")
    assert output.splitlines() == list(lines(explain(file)))


def test_a_strategy_that_is_not_there_is_one_line(scenario: Path) -> None:
    code, output = invoke("explain", str(scenario), "--strategy", "lfu")
    assert code == 2
    assert "no such strategy" in output
    assert len(output.strip().splitlines()) == 1


def test_diff_reads_what_run_saves(scenario: Path, tmp_path: Path) -> None:
    assert (
        invoke("run", str(scenario), "--no-ranges", "--out", str(tmp_path), "--save-schedules", "--jobs", "1")[0] == 0
    )
    lru, fiddler = tmp_path / "04-lru.timeline.arrow", tmp_path / "07-fiddler.timeline.arrow"
    code, output = invoke("diff", str(lru), str(fiddler))
    assert code == 0
    assert output.startswith("A  04-lru: ")
    assert "ops are in both" in output
    page = tmp_path / "diff.html"
    assert invoke("diff", str(lru), str(fiddler), "--out", str(page))[1].endswith(f"page: {page}\n")
    html = page.read_text(encoding="utf-8")
    (drawn,) = data_of(read_page(html))["runs"]
    assert drawn["notes"][:2] == ["A", "B"]
    assert "07-fiddler" in html
    assert "plotly" not in html.split("<style>")[0].lower()
    assert len(html) < 1_000_000, "a page without Plotly"
    (tmp_path / "07-fiddler.schedule.arrow").unlink()
    code, output = invoke("diff", str(lru), str(fiddler))
    assert (code, len(output.strip().splitlines())) == (2, 1)
