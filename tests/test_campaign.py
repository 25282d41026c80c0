"""The one command that measures a computer, run end to end on the host backend and on a stand-in for a GPU."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

import torch

from calibrate import cuda_bench, cuda_links, kernels, links, overheads, points
from calibrate.cuda_site import CudaSite
from calibrate.probe import decode_like, probe_model, side_by_side
from calibrate.run import Models
from calibrate.session import measure
from calibrate.sharing import WORKERS
from hwexec.backend import Backend, ExecutionError
from hwexec.cuda import CudaBackend
from hwexec.fingerprint import fingerprint
from scenarios.cli import app
from scenarios.recordings import baseline, campaign, store
from scenarios.recordings.campaign import Outcome, models_of, run_campaign
from scenarios.recordings.folder import MACHINE, SAMPLES, SUMMARY, VALIDATION, check_folder_of
from scenarios.recordings.hardware import Hardware, ThisComputer
from scenarios.recordings.store import names_in
from scenarios.recordings.summary import summary
from scenarios.resolve import resolve
from scenarios.run import costs_of_entry, plan_entry
from scenarios.suite import load_suite
from sim.errors import InputError
from sim.machine import Machine
from sim.schedule import Kind
from tests.fake_device import FakeDevice
from tests.scenario_files import MODEL, machine

SUITE = """\
title: tiny suite
defaults: {model: tiny.yaml, precision: PRECISION, workload: {prompt: 6, output: 3}}
scenarios:
  - {title: half, cache: 4, strategies: [on-demand, fiddler, {label: cpu, name: cache, miss: cpu}]}
  - {title: none, cache: 0, strategies: [on-demand]}
"""
FILES = {MACHINE, SAMPLES, VALIDATION, store.FILE, baseline.FILE}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, values in {"TOKENS": (1, 2, 8), "BATCHES": (1, 2), "PROMPTS": (2, 8), "CONTEXTS": (4, 16)}.items():
        monkeypatch.setattr(points, name, values)
    for module in (kernels, links):
        monkeypatch.setattr(module, "_PASSES", 1)
    monkeypatch.setattr(links, "_LARGEST", 1 << 14)
    monkeypatch.setattr(cuda_links, "_ROUNDS", 1)
    monkeypatch.setattr(cuda_links, "_ARENA_BYTES", 1 << 20)
    monkeypatch.setattr(cuda_bench, "FLUSH_BYTES", 1 << 16)
    monkeypatch.setattr(overheads, "ROUNDS", 1)
    monkeypatch.setattr("calibrate.sharing._ROUNDS", 1)
    monkeypatch.setattr("hwexec.pinned._STEP", 1 << 16)
    for module_name in (
        "calibrate.probe", "calibrate.links", "calibrate.cuda_links", "calibrate.cuda_site", "hwexec.condition",
        "hwexec.cuda", "hwexec.host",
    ):  # fmt: skip
        monkeypatch.setattr(f"{module_name}.cache_bytes", lambda: 1 << 12)


class Known(ThisComputer):
    """The host backend, of which a machine file is made up instead of measured."""

    def calibrate(self, out: Path, budget_s: float, models: Models, progress: Callable[[str, float], None]) -> Machine:
        made = machine().model_copy(update={"fingerprint": fingerprint()})
        made.save(out)
        return made


class OnFake(Hardware):
    """A stand-in for a GPU."""

    def __init__(self, device: FakeDevice) -> None:
        self.device = device

    def calibrate(self, out: Path, budget_s: float, models: Models, progress: Callable[[str, float], None]) -> Machine:
        return measure(CudaSite(models, self.device), out, budget_s, progress)

    def backend(self) -> Backend:
        return CudaBackend(self.device)


def suite_in(folder: Path, precision: str = "fp32") -> Path:
    (folder / "tiny.yaml").write_text(MODEL, encoding="utf-8")
    path = folder / "suite.yaml"
    path.write_text(SUITE.replace("PRECISION", precision), encoding="utf-8")
    return path


def ran(folder: Path, hardware: Hardware, budget_s: float = 900.0, say: Any = lambda what, share: None) -> Outcome:
    suite = suite_in(folder)
    return run_campaign(
        "tiny suite", lambda machine: load_suite(suite, machine=str(machine)).files, hardware, folder / "out",
        budget_s=budget_s, repeats=2, say=say,
    )  # fmt: skip


def test_models_that_are_to_stay_unseen_are_not_measured(tmp_path: Path) -> None:
    shown: list[str] = []

    class Watched(Known):
        def calibrate(
            self, out: Path, budget_s: float, models: Models, progress: Callable[[str, float], None]
        ) -> Machine:
            shown.extend(model.name for model, _ in models)
            return super().calibrate(out, budget_s, models, progress)

    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(MODEL.replace("name: tiny", f"name: {name}"), encoding="utf-8")
    suite = tmp_path / "suite.yaml"
    one = "{title: TITLE, model: TITLE.yaml, cache: 4, strategies: [on-demand]}"
    scenarios = "".join(f"  - {one.replace('TITLE', name)}\n" for name in ("a", "b"))
    defaults = "defaults: {precision: fp32, workload: {prompt: 6, output: 3}}"
    suite.write_text(f"{defaults}\nscenarios:\n{scenarios}unseen: [b]\n", encoding="utf-8")
    loaded = load_suite(suite, machine="-")
    run_campaign(
        loaded.title, lambda machine: load_suite(suite, machine=str(machine)).files, Watched("host"), tmp_path / "out",
        budget_s=900, repeats=1, say=lambda what, share: None, unseen=loaded.unseen,
    )  # fmt: skip
    assert shown == ["a"]


@pytest.fixture
def device() -> Iterator[FakeDevice]:
    made = FakeDevice()
    yield made
    made.end()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibration takes little of a budget that is long enough for all schedules on a busy machine."""
    monkeypatch.setattr(campaign, "CALIBRATION_SHARE", 0.0005)


@pytest.mark.usefixtures("_quick")
def test_the_command_measures_executes_compares_and_keeps_everything_in_few_files(tmp_path: Path) -> None:
    command = ["measure", "--backend", "host", "--suite", str(suite_in(tmp_path)), "--out", str(tmp_path / "out"),
               "--budget", "900", "--repeats", "2"]  # fmt: skip
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    assert kept == FILES | {SUMMARY}
    assert len(kept) <= 8
    assert names_in(tmp_path / "out" / store.FILE) == [
        ("half", "on-demand"), ("half", "fiddler"), ("half", "cpu"), ("none", "on-demand")
    ]  # fmt: skip
    validation = json.loads((tmp_path / "out" / VALIDATION).read_text("utf-8"))
    assert [each["comparison"]["runs"] for each in validation["schedules"]] == [2, 2, 2, 2]
    assert done.stdout == (tmp_path / "out" / SUMMARY).read_text("utf-8")
    assert "4 schedules recorded, 0 failed, none left" in done.stdout
    assert "end-to-end error of 4 schedules" in done.stdout
    again = CliRunner().invoke(app, ["recordings", str(tmp_path / "out")])
    assert again.exit_code == 0, again.output
    machine = json.loads((tmp_path / "out" / MACHINE).read_text("utf-8"))
    for table in machine["kernels"]:
        table["curve"]["seconds"] = [1e5 * s for s in table["curve"]["seconds"]]
    (tmp_path / "out" / MACHINE).write_text(json.dumps(machine), encoding="utf-8")
    worse = CliRunner().invoke(app, ["recordings", str(tmp_path / "out")])
    assert worse.exit_code == 1
    assert worse.stdout.count("worse: ") == 4
    accepted = CliRunner().invoke(app, ["recordings", "--accept", str(tmp_path / "out")])
    assert accepted.exit_code == 0
    assert CliRunner().invoke(app, ["recordings", str(tmp_path / "out")]).exit_code == 0


@pytest.mark.usefixtures("_quick")
def test_the_same_on_a_stand_in_for_a_gpu(tmp_path: Path, device: FakeDevice) -> None:
    outcome = ran(tmp_path, OnFake(device))
    assert outcome.complete, outcome.failed
    assert outcome.recorded == 4
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert "a stand-in" in summary(outcome)
    checked = check_folder_of(tmp_path / "out")
    assert checked.worse == []
    assert all(np.isfinite(each.comparison.error) for each in checked.validation.schedules)
    assert device.pinned == {}


@pytest.mark.usefixtures("_quick")
def test_what_was_interrupted_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def stop_at(text: str) -> Callable[[str, float], None]:
        def say(what: str, share: float) -> None:
            said.append(what)
            if what.startswith(text):
                raise KeyboardInterrupt

        return say

    hardware = ThisComputer("host")
    with pytest.raises(KeyboardInterrupt):
        ran(tmp_path, hardware, say=stop_at("calibrating: overheads"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {SAMPLES}
    with pytest.raises(KeyboardInterrupt):
        ran(tmp_path, hardware, say=stop_at("half: cpu"))
    assert names_in(tmp_path / "out" / store.FILE) == [("half", "on-demand"), ("half", "fiddler")]
    measured = said.copy()
    said.clear()
    outcome = ran(tmp_path, hardware, say=lambda what, share: said.append(what))
    assert said == ["half: cpu", "none: on-demand", "comparing"]
    assert outcome.complete
    once = [what for what in measured if what.startswith("calibrating") and "done" not in what]
    assert sorted(once) == sorted([*set(once), "calibrating: overheads round 0"])


def test_what_has_no_time_is_left_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hardware = Known("host")
    allowed = iter([True, True, False, False])
    monkeypatch.setattr("scenarios.recordings.deadline.Deadline.allows", lambda self, predicted_s: next(allowed))
    outcome = ran(tmp_path, hardware)
    assert (outcome.recorded, outcome.left, outcome.complete) == (2, 2, False)
    assert "2 schedules recorded, 0 failed, 2 left for the next run" in summary(outcome)
    assert len(outcome.validation.schedules) == 2  # type: ignore[union-attr]


def test_one_failure_is_told_and_many_end_the_campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ExecutionError("op 7 on lane gpu0 failed")

    monkeypatch.setattr(campaign, "execute", fail)
    outcome = ran(tmp_path, Known("host"))
    assert (outcome.recorded, outcome.left, len(outcome.failed)) == (0, 1, 3)
    assert "failed: half: on-demand: op 7 on lane gpu0 failed" in summary(outcome)
    assert not (tmp_path / "out" / store.FILE).exists()


def test_two_computers_do_not_mix_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    machine().model_copy(update={"fingerprint": fingerprint() | {"cpu": "another"}}).save(tmp_path / "out" / MACHINE)
    with pytest.raises(InputError, match=r"machine.json: is of another computer: cpu is another, here .*; choose"):
        ran(tmp_path, ThisComputer("host"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    "command",
    [
        ["measure", "--out", "OUT"],
        ["calibrate", "--backend", "cuda", "--out", "OUT/machine.json"],
        ["validate", "--suite", "standard", "--backend", "cuda", "--machine", "h100-sxm-xeon"],
    ],
)
def test_without_a_gpu_every_command_says_so_in_one_line(tmp_path: Path, command: list[str]) -> None:
    done = CliRunner().invoke(app, [part.replace("OUT", str(tmp_path / "out")) for part in command])
    assert done.exit_code == 2
    assert done.stderr.startswith("moesim: error: backend: CUDA is not available: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_the_standard_suite_is_large_mixed_and_apart_from_calibration() -> None:
    _, files, unseen = load_suite("standard", machine="h100-sxm-xeon")
    cases = [resolve(file) for file in files]
    n = with_cpu = 0
    shapes = set()
    for case in cases:
        assert max(len(case.trace.ids), case.spec.batch) > 0
        for entry in case.entries:
            schedule = plan_entry(case, entry, costs_of_entry(case, entry))
            on_cpu = (schedule.ops.kind == Kind.EXPERT) & (schedule.ops.lane == schedule.lane_index["cpu"])
            n, with_cpu = n + 1, with_cpu + bool(on_cpu.any())
            shapes.add((case.model.name, case.precisions))
            assert schedule.meta["strategy"] != "probe"
            assert len(schedule) < 20_000
    assert n >= 120
    assert with_cpu >= n / 2
    assert len(models_of(files)) == len(shapes) == 5
    assert unseen < {model.name for model, _ in models_of(files)}
    assert len(unseen) == 2
    probes = [decode_like(probe_model(case.model), case.precisions, 2) for case in cases[:3]]
    probes += [side_by_side(probe_model(case.model), case.precisions, dict.fromkeys(WORKERS, 2)) for case in cases[:3]]
    assert {probe.meta["strategy"] for probe in probes} == {"probe"}
