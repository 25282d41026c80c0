from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scenarios.cli import app
from scenarios.published.store import load
from tests.test_published_spec import FIGURE, paper, written

RUNNER = CliRunner()
SEEDS = [{"change": "seed", "values": [1, 2], "why": "unknown"}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path, paper(uncertain=SEEDS, misses=[{"of": ["one"], "cause": "made up"}]))


def test_a_paper_is_printed_as_a_table_with_its_misses(path: Path) -> None:
    done = RUNNER.invoke(app, ["papers", str(path), "--jobs", "1"])
    assert done.exit_code == 0, done.output
    assert "T · box" in done.output
    row = next(line for line in done.output.splitlines() if line.startswith(FIGURE["says"]))
    assert ("missed" in row) == ("! it is fast: made up" in done.output)
    assert " – " in row  # a range


def test_json_holds_the_same_and_nominal_leaves_the_ranges_out(path: Path) -> None:
    whole, nominal = (
        json.loads(RUNNER.invoke(app, ["papers", str(path), "--json", "--jobs", "1", *extra]).output)
        for extra in ([], ["--nominal"])
    )
    figure, alone = (data["papers"][0]["settings"][0]["figures"][0] for data in (whole, nominal))
    assert figure["low"] <= figure["simulated"] <= figure["high"]
    assert figure["low"] < figure["high"]
    assert alone["low"] == alone["simulated"] == alone["high"] == figure["simulated"]


def test_a_folder_gets_the_values_and_the_page(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = RUNNER.invoke(app, ["papers", str(path), "--jobs", "1", "--nominal", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "one" in load(out / "papers.json")[0]["mine"]["box"].figures
    assert "Published and simulated" in (out / "papers.html").read_text(encoding="utf-8")


def test_a_paper_that_is_not_known_is_one_line() -> None:
    done = RUNNER.invoke(app, ["papers", "nothing"])
    assert done.exit_code == 2
    assert done.output.startswith("moesim: error: no such paper (got 'nothing')")
    assert len(done.output.splitlines()) == 1
