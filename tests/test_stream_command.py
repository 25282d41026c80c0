"""`moesim run --stream`: the same figures, without what needs every op."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.load import load_scenario
from scenarios.resolve import resolve
from scenarios.run import run_scenario
from scenarios.streaming import layer_passes
from sim.errors import InputError
from sim.trace_write import save_parts
from sim.workload import count_steps, steps
from tests.report_pages import data_of, read_page
from tests.scenario_files import SCENARIO, write_files
from tests.test_cli import moesim, refused
from tests.test_trace_scale import Size, peak_bytes
from tests.traces import random_trace, sequence_lists

WITHOUT_ORACLE = SCENARIO.replace("  - oracle\n", "")


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    assert WITHOUT_ORACLE != SCENARIO
    return write_files(tmp_path, WITHOUT_ORACLE)


def alike(found: Any, expected: Any) -> bool:
    """Equal, but for the last bits of numbers, for `streamed`, and for limits, which need every op."""
    if isinstance(expected, dict):
        return set(found) == set(expected) and all(
            name in ("streamed", "limit", "of_limit", "gap") or alike(found[name], value)
            for name, value in expected.items()
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(alike, found, expected))
    return bool(found == pytest.approx(expected, 1e-12) if isinstance(expected, float) else found == expected)


def test_figures_do_not_depend_on_streaming(scenario: Path) -> None:
    run = ("run", scenario, "--no-ranges")
    streamed, whole = (json.loads(moesim(*run, "--json", option)) for option in ("--stream", "--no-stream"))
    assert alike(streamed, whole)
    assert {run["streamed"] for run in streamed["runs"]} == {True}
    assert {run["streamed"] for run in whole["runs"]} == {False}
    assert ("limit" in moesim(*run), "limit" in moesim(*run, "--stream")) == (True, False)


def test_streamed_runs_have_no_ranges_and_say_so(scenario: Path) -> None:
    assert "no ranges: streamed runs keep nothing" in moesim("run", scenario, "--stream")


def test_the_report_of_streamed_runs_says_what_it_lacks(scenario: Path, tmp_path: Path) -> None:
    moesim("run", scenario, "--stream", "--out", tmp_path / "out")
    page = read_page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    (note,) = page.find("p", class_="streamed")
    assert note.text.startswith("All strategies were streamed")
    assert not page.find(id="gantt")
    assert [section.attributes["id"] for section in page.find("section")] == [
        "comparison", "numbers", "timeline", "memory", "assumptions"
    ]  # fmt: skip
    assert data_of(page)["runs"] == []


def short_of_memory(monkeypatch: pytest.MonkeyPatch, free_bytes: float) -> None:
    real = psutil.virtual_memory()
    monkeypatch.setattr("scenarios.streaming.psutil.virtual_memory", lambda: real._replace(available=free_bytes))


def test_where_memory_is_short_runs_are_streamed_but_those_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write_files(tmp_path)
    case = resolve(load_scenario(path))
    enough = 2 * 300 * (4 + 2 * 2) * layer_passes(case)
    short_of_memory(monkeypatch, 0.9 * enough)
    moesim("run", path, "--no-ranges", "--jobs", 1, "--out", tmp_path / "out")
    runs = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["runs"]
    assert [run["label"] for run in runs if not run["streamed"]] == ["oracle"]
    page = read_page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert [run["label"] for run in data_of(page)["runs"]] == ["oracle"]
    (note,) = page.find("p", class_="streamed")
    assert "lru" in note.text
    assert "oracle" not in note.text
    short_of_memory(monkeypatch, 1.1 * enough)
    assert not any(run.streamed for run in run_scenario(load_scenario(path)).runs)


def test_what_cannot_be_streamed_is_refused_at_its_line_before_anything_runs(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(InputError, match=r"scenario.yaml:16: strategies.name: knows the whole run.*'oracle'"):
        run_scenario(load_scenario(write_files(tmp_path)), streamed=True, progress=said.append)
    assert said == ["reading"]
    assert "knows the whole run" in refused("run", write_files(tmp_path), "--stream")


def test_schedules_of_streamed_runs_cannot_be_saved(scenario: Path, tmp_path: Path) -> None:
    message = refused("run", scenario, "--stream", "--save-schedules", "--out", tmp_path)
    assert message.startswith("--save-schedules: streamed runs keep no schedule")


def test_progress_counts_tokens(scenario: Path) -> None:
    said: list[str] = []
    run_scenario(load_scenario(scenario), streamed=True, progress=said.append)
    assert "0 of 7 strategies done, now all-resident: 9 of 9 tokens" in said
    assert said[-1] == "7 of 7 strategies done"


@given(sequence_lists, st.integers(1, 4))
def test_passes_are_counted_without_walking(sequences: list[tuple[int, int]], batch: int) -> None:
    trace = random_trace(sequences)
    assert count_steps(trace, batch) == sum(1 for _ in steps(trace, batch))


@pytest.mark.long
def test_a_large_recording_is_run_without_being_held(tmp_path: Path) -> None:
    """A million tokens, all of them for calibration but the last 500."""
    size = Size(tokens=1_000_000, layers=40, top_k=2, experts=4)
    save_parts(tmp_path / "large.trace.arrow", size.parts(50_000))
    trace = "trace: {file: large.trace.arrow, calibrate_on: 0.9995}"
    text = SCENARIO[: SCENARIO.index("  - all-resident")].replace("workload: {prompt: 6, output: 4}", trace)
    write_files(tmp_path, text + "  - {label: lru, name: cache}\n  - moe-infinity\n")
    blocks = f"n_layers: 40\nmoe_layers: {list(range(40))}\n"
    model = (tmp_path / "tiny.yaml").read_text(encoding="utf-8")
    kept = [line for line in model.splitlines() if not line.startswith(("n_layers", "moe_layers"))]
    (tmp_path / "tiny.yaml").write_text("\n".join(kept) + "\n" + blocks, encoding="utf-8")
    scenario = load_scenario(tmp_path / "scenario.yaml")
    begin, peak = time.perf_counter(), peak_bytes(lambda: run_scenario(scenario, streamed=True))
    print(f"{time.perf_counter() - begin:.0f} s, peak {peak / 1e6:.1f} MB of a trace of {size.n_bytes / 1e6:.1f} MB")
    assert peak < size.n_bytes / 4
