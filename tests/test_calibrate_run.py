from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from calibrate import host_site, kernels, links, overheads, points
from calibrate.links import copy_sizes
from calibrate.points import series_of
from calibrate.run import calibrate
from calibrate.session import journal_path
from sim.cost import CostModel, costs_of
from sim.engine import simulate
from sim.errors import DoesNotFit, InputError
from sim.machine import Machine
from sim.plan import plan
from sim.precision import Precisions
from sim.schedule import Kind
from sim.strategies.registry import make_strategy
from tests.hardware import FP32, small_model
from tests.traces import random_trace

MODELS = [(small_model(), FP32)]


@pytest.fixture(autouse=True)
def _few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, values in {"TOKENS": (1, 2, 4, 8), "BATCHES": (1, 2), "PROMPTS": (2, 8), "CONTEXTS": (4, 16)}.items():
        monkeypatch.setattr(points, name, values)
    for module in (kernels, links):
        monkeypatch.setattr(module, "_PASSES", 1)
    monkeypatch.setattr(links, "_LARGEST", 1 << 14)
    monkeypatch.setattr(overheads, "ROUNDS", 1)
    monkeypatch.setattr("hwexec.condition.cache_bytes", lambda: 1 << 12)
    monkeypatch.setattr("calibrate.links.cache_bytes", lambda: 1 << 12)
    monkeypatch.setattr("calibrate.probe.cache_bytes", lambda: 1 << 12)


def measured(out: Path, **changes: Any) -> Machine:
    wanted: dict[str, Any] = {"budget_s": 0.4, "models": MODELS, "progress": lambda what, share: None}
    return calibrate(out=out, **{**wanted, **changes})


def test_a_calibration_writes_a_machine_that_prices_the_models_schedules_from_tables(tmp_path: Path) -> None:
    machine = measured(tmp_path / "machine.json")
    assert Machine.load(tmp_path / "machine.json") == machine
    assert machine.origin == "measured"
    model = small_model()
    trace = random_trace([(8, 2), (8, 2)], model.n_moe_layers, model.n_experts, model.top_k)
    for name, knobs in (("cache", {"miss": "cpu"}), ("fiddler", {}), ("on-demand", {})):
        schedule = plan(make_strategy(name, **knobs), model, FP32, trace, cached=4, batch=2)
        costs = CostModel(machine, model, FP32)
        costs.of(schedule.ops, schedule.lanes)
        assert not any("not measured" in warning for warning in costs.warnings), costs.warnings
        assert simulate(schedule, costs_of(schedule, machine)).makespan_s > 0


def test_the_machine_says_where_its_numbers_come_from(tmp_path: Path) -> None:
    machine = measured(tmp_path / "machine.json")
    assert set(machine.fingerprint) >= {"cpu", "memory_bytes", "kernel", "python", "torch", "date"}
    assert "leave-one-out over" in machine.sources["interpolation"]
    assert "measured once" in machine.sources["pinned and pageable"]
    assert {link.memory for link in machine.links} == {"pinned", "pageable", "storage"}
    stack = machine.stack("ours")
    assert stack.sync_s > 0
    assert set(stack.dispatch_s) >= {"attention", "gate", "expert", "load", "send", "wait", "default"}
    assert set(stack.handoff_s) >= {"gpu", "cpu", "link"}
    assert set(stack.spread) == {"dispatch", "sync", "handoff"}
    assert stack.spread["dispatch"] > 0
    assert machine.capacity_spread["dram"].keys() == {"dram shared", "memory drift"}
    assert set(machine.drift) == {"gpu", "cpu", "link"}
    assert f"{machine.drift['gpu']:.0%}" in machine.sources["condition"]
    assert machine.rooflines
    assert machine.capacities["dram"] > 0


def test_raw_samples_are_kept_beside_the_machine_file(tmp_path: Path) -> None:
    machine = measured(tmp_path / "machine.json")
    path = journal_path(tmp_path / "machine.json")
    assert path.name == "machine.samples.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert records[-1] == {"done": True}
    names = {name for record in records[1:-1] for name in record["samples"]}
    series = series_of(*MODELS[0])[0]
    assert series.point(1) in names
    assert len(machine.kernels) == len(series_of(*MODELS[0]))


def stopping_after(units: int) -> Any:
    seen: list[str] = []

    def progress(what: str, share: float) -> None:
        seen.append(what)
        if len(seen) > units:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_calibration_writes_no_machine_and_the_next_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "machine.json"
    with pytest.raises(KeyboardInterrupt):
        measured(out, progress=stopping_after(25))
    assert not out.exists()
    kept = journal_path(out).read_text().splitlines()
    assert len(kept) == 1 + 25
    said: list[str] = []
    machine = measured(out, progress=lambda what, share: said.append(what))
    assert not {json.loads(line)["unit"] for line in kept[1:]} & set(said)
    assert journal_path(out).read_text().splitlines()[: len(kept)] == kept
    whole = measured(tmp_path / "other.json")
    assert [(k.device, k.kind, k.shape, k.curve.x) for k in machine.kernels] == [
        (k.device, k.kind, k.shape, k.curve.x) for k in whole.kernels
    ]


def test_a_finished_calibration_is_measured_afresh(tmp_path: Path) -> None:
    out = tmp_path / "machine.json"
    measured(out)
    said: list[float] = []
    measured(out, progress=lambda what, share: said.append(share))
    assert said[0] == 0
    assert said[-1] == 1
    assert said == sorted(said)
    assert len(said) > 30


def test_every_kernel_that_a_model_asks_for_has_a_series() -> None:
    found = {(s.device, s.kind, s.phase, s.shape) for s in series_of(*MODELS[0])}
    shapes = {shape for device, kind, _, shape in found if kind == Kind.EXPERT and device == "gpu"}
    assert shapes == {(32, 48, 3), (32, 24, 3), (32, 40, 3)}, "routed, shared and dense"
    assert {device for device, kind, *_ in found if kind == Kind.EXPERT} == {"gpu", "cpu"}
    assert {phase for _, kind, phase, _ in found if kind == Kind.ATTENTION} == {"decode", "prefill"}


def test_a_shape_that_two_models_share_is_measured_once() -> None:
    twins = kernels.kernel_plan([(small_model(), FP32), (small_model(name="twin", n_layers=5), FP32)])
    assert len(twins.series) == len(series_of(*MODELS[0]))
    assert len(kernels.kernel_plan([*MODELS, (small_model(expert_hidden=56), FP32)]).series) > len(twins.series)


def test_copies_are_measured_at_the_very_sizes_of_experts_and_blocks() -> None:
    model = small_model()
    sizes = copy_sizes(MODELS)
    assert model.expert_bytes("fp32") in sizes
    assert {model.layer_bytes(layer, "fp32") for layer in range(3)} <= set(sizes)
    assert sizes == sorted(set(sizes))


def test_a_series_ends_where_a_point_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    series = series_of(*MODELS[0])[0]
    known = {series.point(4): [1.0]}
    assert kernels._forecast(series, 8, known) > 1
    assert kernels._forecast(series, 2, known) == 0
    assert kernels._forecast(series, 8, {}) == float("inf")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"backend": "abacus"}, "no such backend"),
        ({"budget_s": 0.0}, "must be positive"),
        ({"models": []}, "nothing to measure"),
        ({"models": [(small_model(), Precisions("q4_k", "fp32", "fp32"))]}, "no kernel for this precision"),
        ({"models": [(small_model(encoder_layers=1), FP32)]}, "simulated but not executed"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        measured(tmp_path / "machine.json", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_that_needs_too_much_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_MEMORY_SHARE", 1e-9)
    with pytest.raises(DoesNotFit, match=r"do not fit a quarter"):
        measured(tmp_path / "machine.json")
    assert list(tmp_path.iterdir()) == []


def test_shares_of_the_budget_sum_to_one() -> None:
    assert sum(host_site.SHARES.values()) == pytest.approx(1)


def test_a_machine_file_that_cannot_be_written_loses_no_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "machine.json"

    def full(machine: Machine, path: Path) -> None:
        raise InputError("cannot be written: no space left", file=path)

    with monkeypatch.context() as patch, pytest.raises(InputError, match="no space left"):
        patch.setattr(Machine, "save", full)
        measured(out)
    said: list[str] = []
    measured(out, progress=lambda what, share: said.append(what))
    assert said[-1] == "done"
    assert all(what == "done" or what.endswith(" 1") for what in said)  # repeats that there had been no time for
    assert out.exists()
