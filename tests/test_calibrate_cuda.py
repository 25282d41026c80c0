"""The calibration of the CUDA backend on a stand-in for the GPU."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import sleep

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from calibrate import cuda_bench, cuda_links, overheads, points
from calibrate.cpu_threads import thread_counts
from calibrate.cuda_assemble import PAIRS
from calibrate.cuda_bench import CudaBench
from calibrate.cuda_links import CudaLinkPlan, both_point, overlapping
from calibrate.cuda_site import SHARES, CudaSite, in_words
from calibrate.probe import side_by_side
from calibrate.session import journal_path, measure
from calibrate.sharing import fit_capacity, slowdowns, together
from calibrate.software_queue import gaps
from hwexec import numbers
from hwexec.backend import ExecutionError
from hwexec.numbers import expert_error
from sim.cost import CostModel
from sim.machine import Machine
from sim.plan import plan
from sim.precision import Precisions
from sim.schedule import Kind
from sim.strategies.registry import make_strategy
from sim.timeline import Times
from tests.fake_device import FakeDevice
from tests.hardware import FP32, small_model
from tests.traces import random_trace


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, values in {"TOKENS": (1, 2, 4), "BATCHES": (1, 2), "PROMPTS": (2, 8), "CONTEXTS": (4, 16)}.items():
        monkeypatch.setattr(points, name, values)
    monkeypatch.setattr("calibrate.kernels._PASSES", 1)
    monkeypatch.setattr("calibrate.links._LARGEST", 1 << 14)
    monkeypatch.setattr(cuda_links, "_ROUNDS", 1)
    monkeypatch.setattr(cuda_links, "_ARENA_BYTES", 1 << 20)
    monkeypatch.setattr(cuda_bench, "FLUSH_BYTES", 1 << 16)
    monkeypatch.setattr(overheads, "ROUNDS", 1)
    monkeypatch.setattr("calibrate.sharing._ROUNDS", 1)
    monkeypatch.setattr("hwexec.pinned._STEP", 1 << 16)
    for module in ("calibrate.probe", "calibrate.cuda_links", "calibrate.cuda_site", "hwexec.cuda"):
        monkeypatch.setattr(f"{module}.cache_bytes", lambda: 1 << 12)


@pytest.fixture
def device() -> Iterator[FakeDevice]:
    made = FakeDevice()
    yield made
    made.end()


def measured(out: Path, device: FakeDevice, precisions: Precisions = FP32, **changes: object) -> Machine:
    return measure(CudaSite([(small_model(**changes), precisions)], device), out, 0.5, lambda what, share: None)


def test_a_calibration_writes_a_machine_that_prices_the_models_schedules_from_tables(
    tmp_path: Path, device: FakeDevice
) -> None:
    machine = measured(tmp_path / "gpu.json", device)
    assert Machine.load(tmp_path / "gpu.json") == machine
    assert device.pinned == {}, "all pinned memory was given back"
    assert machine.name.startswith("a stand-in, ")
    links = {(link.direction, link.memory) for link in machine.links}
    assert links == {(way, memory) for way in ("h2d", "d2h") for memory in ("pinned", "pageable")} | {
        ("read", "storage")
    }
    assert set(machine.stacks) == {"ours", "ours-graphs", "ours-pageable"}
    assert machine.stack().copies == "pinned"
    assert machine.stack("ours-pageable").copies == "pageable"
    assert set(machine.stack().dispatch_s) >= {"attention", "gate", "expert", "combine", "head", "load", "send", "wait"}
    assert set(machine.stack().handoff_s) >= {"gpu", "cpu", "link"}
    assert 0 < machine.stack().queue_s == machine.stack("ours-graphs").queue_s < 0.1
    for subject in ("interpolation", "condition", "dram", "link", "beside each other", "copies in flight", "numbers",
                    "gpu before", "gpu after", "cpu threads"):  # fmt: skip
        assert machine.sources[subject]
    assert "read_bytes_per_s" in machine.fingerprint
    model = small_model()
    trace = random_trace([(8, 2), (8, 2)], model.n_moe_layers, model.n_experts, model.top_k)
    schedule = plan(make_strategy("cache", miss="cpu"), model, FP32, trace, cached=4, batch=2)
    costs = CostModel(machine, model, FP32)
    costs.of_schedule(schedule)
    assert not any("not measured" in warning for warning in costs.warnings), costs.warnings


def test_quantised_experts_have_tables_of_their_own(tmp_path: Path, device: FakeDevice) -> None:
    machine = measured(tmp_path / "gpu.json", device, Precisions("q4_0", "bf16", "bf16"), hidden=64)
    (on_gpu,) = (k for k in machine.kernels if k.precision == "q4_0" and k.device == "gpu")
    assert "computed in bf16 on weights dequantised beforehand" in on_gpu.source
    assert machine.memory["gpu0"].usable_bytes == device.memory


def test_an_interrupted_calibration_goes_on(tmp_path: Path, device: FakeDevice) -> None:
    out, said = tmp_path / "gpu.json", list[str]()

    def stop(what: str, share: float) -> None:
        if len(said) == 12:
            raise KeyboardInterrupt
        said.append(what)

    site = CudaSite([(small_model(), FP32)], device)
    with pytest.raises(KeyboardInterrupt):
        measure(site, out, 0.5, stop)
    assert device.pinned == {}
    assert not out.exists()
    again: list[str] = []
    measure(CudaSite([(small_model(), FP32)], device), out, 0.5, lambda what, share: again.append(what))
    assert not set(said) & set(again)
    assert journal_path(out).exists()


def test_a_stream_is_timed_by_its_events_and_its_cache_emptied_before_each(device: FakeDevice) -> None:
    turns: list[str] = []

    def work(name: str) -> None:
        turns.append(name)
        sleep(0.004)

    with CudaBench(device, {"cpu": (0,)}) as bench:
        bench._flush.fill_(1)
        found = bench.time("x", "gpu0", [partial(work, "a"), partial(work, "b")], 0.06)
        assert not bench._flush.any()
        assert turns[:4] == ["a", "b", "a", "b"]
        assert len(found["x"]) == len(found["x | seconds a byte"]) == len(turns) - 2
        assert 0.0035 <= np.median(found["x"]) < 0.02
        held = bench.held("y", "gpu0.h2d", [partial(sleep, 0.003)], 0.01)
        assert min(held["y"]) >= 0.0025
        assert bench.time("z", "cpu", [partial(sleep, 0.003)], 0.01)["z"][0] >= 0.003


def test_copies_of_a_size_take_turns_in_the_arena_and_move_the_right_way(device: FakeDevice) -> None:
    links = CudaLinkPlan([(small_model(), FP32)], device)
    links._slice("pinned", 64).fill_(5)
    links._host["pinned"].fill_(5)
    for copy in links._copies("pinned", "h2d", 1000):
        copy()
    assert all((buffer[:1000] == 5).all() for buffer in links._on_gpu())
    for buffer in links._on_gpu():
        buffer.fill_(6)
    copies = links._copies("pinned", "d2h", 1000)
    for copy in copies:
        copy()
    assert int((links._host["pinned"] == 6).sum()) == 1000 * len(copies)
    links.close()
    assert device.pinned == {}


def test_only_copies_within_the_other_directions_work_count_as_both_ways(device: FakeDevice) -> None:
    stream = device.new_stream()

    def marks(n: int, seconds: float) -> list[object]:
        found = []
        for _ in range(n):
            event = device.new_event()
            device.run(stream, partial(sleep, seconds))
            event.record(stream)
            found.append(event)
        return found

    before, mine, after = marks(1, 0.0), marks(5, 0.002), marks(1, 0.0)
    late = marks(2, 0.002)
    device.synchronize()
    assert len(overlapping(mine, [*before, *after])) == 3  # type: ignore[arg-type,list-item]
    assert overlapping(mine, late) == []  # type: ignore[arg-type]


def test_the_link_is_shared_where_both_ways_at_once_are_slower() -> None:
    samples = {together("copy", ()): [1.0], together("down", ()): [1.0],
               together("copy", ("down",)): [1.5], together("down", ("copy",)): [1.5]}  # fmt: skip
    shared = fit_capacity(samples, {"copy": 60.0, "down": 60.0}, (("copy", "down"),))
    assert shared.bytes_per_s == pytest.approx(80, rel=0.01)
    apart = fit_capacity({**samples, together("copy", ("down",)): [1.0], together("down", ("copy",)): [1.0]},
                         {"copy": 60.0, "down": 60.0}, (("copy", "down"),))  # fmt: skip
    assert apart.bytes_per_s >= 119
    assert slowdowns(samples, PAIRS) == {"copy beside down": 1.5, "down beside copy": 1.5}


def test_downloads_side_by_side_wait_for_nobody() -> None:
    schedule = side_by_side(small_model(), FP32, {"down": 5, "copy": 5})
    ops = schedule.ops
    assert (ops.kind == Kind.UNLOAD).sum() == 5
    assert all(ops.lane[dep] == ops.lane[op] for op in range(len(schedule)) for dep in ops.dependencies(op))


def test_the_gap_of_a_queue_counts_only_what_was_waiting() -> None:
    schedule = side_by_side(small_model(), FP32, {"copy": 4}, copy_priority=True)
    assert [lane.discipline for lane in schedule.lanes if lane.name == "gpu0.h2d"] == ["priority"]
    dispatched, start, end = [0.0, 1.0, 9.0, 20.0], [1.0, 6.5, 12.0, 30.0], [6.0, 11.0, 18.0, 40.0]
    columns = [np.array(column) for column in (dispatched, start, end)]
    assert gaps(schedule, Times(*columns, np.zeros(4, np.bool_))) == [0.5, 1.0], "the last came when the lane was idle"


@pytest.mark.parametrize("precision", ["fp32", "bf16", "q4_0"])
def test_an_expert_is_compared_with_float64(precision: str) -> None:
    for matrices in (2, 3):
        error = expert_error(small_model(hidden=64, matrices=matrices), precision, torch.device("cpu"))
        assert error < (1e-5 if precision == "fp32" else 2e-2)


def test_a_device_that_computes_wrongly_is_refused(device: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "expert", lambda weights, shape, tokens, space: lambda: None)
    with pytest.raises(ExecutionError, match=r"computes an expert of tiny wrongly: inf off float64 in fp32"):
        CudaSite([(small_model(), FP32)], device)


def test_threads_are_counted_in_powers_of_two_up_to_all() -> None:
    assert thread_counts(tuple(range(12))) == [1, 2, 4, 8, 12]
    assert thread_counts((3,)) == [1]


def test_a_reading_of_the_driver_is_one_line() -> None:
    assert in_words({"sm_mhz": 1980.0, "pcie_generation": 5.0, "pcie_width": 16.0, "throttle": 4.0}) == (
        "SM 1980 MHz, PCIe 5.0, ×16, throttled: power cap"
    )
    assert in_words({"throttle": 1.0}) == "not throttled"
    assert in_words({}) == "the driver tells nothing"


def test_shares_of_the_budget_sum_to_one() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)


def test_both_ways_are_named_apart() -> None:
    assert both_point("h2d", 5) != both_point("d2h", 5)
