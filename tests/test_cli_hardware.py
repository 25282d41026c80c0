from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scenarios.cli import app
from sim.schedule import Schedule
from sim.timeline import Timeline
from tests.scenario_files import MODEL, read_json, write_files

pytest.importorskip("torch")

SUITE = """\
title: tiny suite
defaults: {model: tiny.yaml, precision: fp32, workload: {prompt: 6, output: 4}}
scenarios:
  - {title: half, cache: 4, strategies: [on-demand, cache, fiddler]}
  - {title: none, cache: 0, strategies: [on-demand]}
"""


def moesim(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_execute_runs_a_saved_schedule_and_saves_the_median_run(tmp_path: Path) -> None:
    moesim("run", write_files(tmp_path), "--out", tmp_path / "out", "--save-schedules")
    path, timeline = tmp_path / "out" / "04-lru.schedule.arrow", tmp_path / "deep" / "lru.timeline.arrow"
    shown = moesim("execute", path, "--repeats", "3", "--out", timeline)
    schedule = Schedule.load(path)
    measured = Timeline.load(timeline, schedule)
    assert measured.source == "measured"
    assert shown.startswith(f"{len(schedule)} ops of tiny in ")
    assert re.search(r"\(runs: [^,]+, [^,]+, [^,]+\)$", shown.splitlines()[0])
    assert shown.splitlines()[-1] == f"timeline: {timeline}"


def test_validate_executes_every_schedule_of_a_suite(tmp_path: Path) -> None:
    write_files(tmp_path)
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    options = ("--machine", tmp_path / "machine.json", "--repeats", "2", "--out", tmp_path, "--figures", "svg")
    shown = moesim("validate", tmp_path / "suite.yaml", *options)
    assert "tiny suite on toy" in shown
    kept = read_json(tmp_path / "validation.json")
    assert [(each["scenario"], each["label"]) for each in kept["schedules"]] == [
        ("half", "on-demand"), ("half", "cache"), ("half", "fiddler"), ("none", "on-demand")
    ]  # fmt: skip
    for each in kept["schedules"]:
        assert each["comparison"]["measured_s"] > 0
        assert each["comparison"]["runs"] == 2
        assert each["comparison"]["bytes_equal"]
    assert {path.stem for path in (tmp_path / "figures").glob("*.svg")} == {
        "predicted-and-measured", "errors-by-schedule", "errors-by-cause", "errors-by-kind", "measured-over-simulated"
    }  # fmt: skip


def test_an_unknown_backend_is_refused(tmp_path: Path) -> None:
    moesim("run", write_files(tmp_path), "--out", tmp_path, "--save-schedules")
    done = CliRunner().invoke(app, ["execute", str(tmp_path / "04-lru.schedule.arrow"), "--backend", "abacus"])
    assert done.exit_code == 2
    assert done.stderr.startswith("moesim: error: backend: no such backend (got 'abacus'); choose one of host")


def test_an_interrupted_calibration_keeps_its_samples_says_so_and_writes_no_machine(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(MODEL, encoding="utf-8")
    command = [sys.executable, "-m", "scenarios", "calibrate", "--budget", "120", "--out", str(tmp_path / "here.json")]
    samples = tmp_path / "here.samples.jsonl"
    with subprocess.Popen(
        [*command, "--model", str(tmp_path / "tiny.yaml")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (samples.exists() and samples.stat().st_size > 1000):
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        try:
            _, errors = running.communicate(timeout=30)
        finally:
            running.kill()
    assert running.returncode == 130, errors
    assert errors == "moesim: interrupted; what was measured is kept: give the same command again to go on\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.samples.jsonl", "tiny.yaml"]
