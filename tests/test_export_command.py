from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pyarrow import parquet

from scenarios.load import load_scenario
from scenarios.run import run_scenario
from sim.critical_path import critical_path
from sim.retime import retime
from tests.equality import same
from tests.scenario_files import SCENARIO, write_files
from tests.test_cli import moesim, refused
from tests.trace_events import read_trace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run saves and exports."""
    folder = tmp_path_factory.mktemp("made")
    options = ("--no-ranges", "--jobs", "1", "--save-schedules", "--export", "perfetto", "--export", "csv")
    moesim("run", write_files(folder), "--out", folder / "out", *options)
    return folder / "out"


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "out"))


def test_a_run_exports_every_strategy_in_every_form_asked_for(out: Path) -> None:
    saved = {path.name.removesuffix(".timeline.arrow") for path in out.glob("*.timeline.arrow")}
    assert len(saved) == 8
    assert {path.name.removesuffix(".perfetto.json.gz") for path in out.glob("*.json.gz")} == saved
    assert {path.name.removesuffix(".ops.csv") for path in out.glob("*.csv")} == saved
    assert not list(out.glob("*.ops.parquet"))
    assert read_trace(out / "04-lru.perfetto.json.gz").process == "lru"


def test_a_saved_timeline_exports_beside_itself_or_elsewhere(out: Path, tmp_path: Path) -> None:
    timeline = out / "05-prefetch.timeline.arrow"
    assert moesim("export", timeline, "--as", "parquet") == f"parquet: {out / '05-prefetch.ops.parquet'}\n"
    assert parquet.read_table(out / "05-prefetch.ops.parquet").num_rows
    moesim("export", timeline, "--as", "csv", "--out", tmp_path / "new" / "a.csv")
    assert (tmp_path / "new" / "a.csv").read_bytes() == (out / "05-prefetch.ops.csv").read_bytes()
    moesim("export", timeline, "--as", "perfetto", "--out", tmp_path / "a.json")
    assert read_trace(tmp_path / "a.json").process == "05-prefetch"


def test_a_timeline_needs_its_own_schedule(out: Path, tmp_path: Path) -> None:
    timeline = shutil.copy(out / "04-lru.timeline.arrow", tmp_path / "measured.arrow")
    target = tmp_path / "a.csv"
    assert "--schedule: has no schedule beside it" in refused("export", timeline, "--as", "csv", "--out", target)
    other = ("--schedule", out / "07-fiddler.schedule.arrow")
    assert "give the schedule that" in refused("export", timeline, *other, "--as", "csv", "--out", target)
    assert not target.exists()
    moesim("export", timeline, "--schedule", out / "04-lru.schedule.arrow", "--as", "csv", "--out", target)
    assert target.exists()


def test_what_cannot_be_exported_is_one_line(tmp_path: Path) -> None:
    scenario = write_files(tmp_path)
    assert "--export: says what to write, but not where; add --out DIR" in refused("run", scenario, "--export", "csv")
    streamed = ("--out", tmp_path / "out", "--export", "csv", "--stream")
    assert "--export: streamed runs keep no schedule" in refused("run", scenario, *streamed)
    assert "invalid value for '--as': 'xml'" in refused("export", tmp_path / "a", "--as", "xml")
    assert "no such file" in refused("export", tmp_path / "a", "--schedule", tmp_path / "b", "--as", "csv")


def test_a_result_knows_what_its_ops_were_priced_at(tmp_path: Path) -> None:
    text = SCENARIO.replace("machine.json", "t4").replace("name: cache}", "name: cache, stack: llama.cpp}")
    result = run_scenario(load_scenario(write_files(tmp_path, text)))
    assert {each.get("stack") for each in result.scenario["strategies"]} == {None, "llama.cpp"}
    for run in result.runs:
        costs = result.costs(run)
        assert same(retime(run.schedule, costs).times, run.timeline.times)
        assert critical_path(run.timeline, costs).length_s == run.timeline.makespan_s
