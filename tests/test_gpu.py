"""What only a GPU can tell. Nothing here has run on one yet; on a machine without CUDA all of it is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from calibrate.cuda_site import CudaSite
from calibrate.session import measure
from hwexec.compute import Weights, compute_task
from hwexec.cuda import CudaBackend
from hwexec.cuda_device import TorchDevice
from hwexec.dispatch import run_once
from hwexec.execute import execute
from hwexec.numbers import TOLERANCE, expert_error
from hwexec.workspace import Workspace, computed_in, dtype_of, random_tensor
from sim.cost import CostModel
from sim.errors import DoesNotFit
from sim.kernel_cost import OpSize
from sim.model import MoEModel
from sim.precision import Precisions
from sim.program import Program, default_lanes
from sim.schedule import Kind, Phase
from tests.hardware import FP32, check_almost, small_model
from tests.test_hwexec_execute import MLA, planned

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")

BF16 = Precisions("bf16", "bf16", "bf16")
WIDE: dict[str, Any] = {"hidden": 256, "expert_hidden": 512, "dense_hidden": 256, "shared_hidden": 256}


@pytest.fixture(scope="module")
def device() -> TorchDevice:
    return TorchDevice()


@pytest.fixture
def backend(device: TorchDevice) -> Iterator[CudaBackend]:
    made = CudaBackend(device, host_bytes=1 << 30)
    yield made
    made.close()


def test_streams_wait_for_words_of_host_memory(device: TorchDevice) -> None:
    """Where this fails the backend still runs, with the host waiting in the streams' place."""
    assert device.signals


@pytest.mark.parametrize("precisions", [FP32, BF16, Precisions("q4_0", "bf16", "bf16")], ids=str)
@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("on-demand", {}),
        ("cache", {"evict": "swap", "priority": True}),
        ("cache", {"miss": "cpu"}),
        ("fiddler", {}),
        ("layer-streaming", {"prefetch": False}),
    ],
)
def test_strategies_run_and_keep_the_rules(
    backend: CudaBackend, name: str, knobs: dict[str, Any], precisions: Precisions
) -> None:
    cached = 8 if name == "layer-streaming" else 4
    schedule = planned(name, small_model(**WIDE), precisions, cached=cached, **knobs)
    for timeline in execute(schedule, backend, repeats=2):
        check_almost(schedule, timeline.times)
        lasted = timeline.times.end_s - timeline.times.start_s
        assert (lasted[~np.isin(schedule.ops.kind, (Kind.WAIT, Kind.CANCEL))] > 0).all()
        after = timeline.meta["condition_after"]
        assert after["clock_steady"] == 1.0
        assert after["clock_slack_s"] < 1e-4
        assert after["driver_allocations"] == 0


@pytest.mark.parametrize("options", [{"graphs": True}, {"copies": "pageable"}, {"cpu_threads": 1}], ids=str)
def test_options_run_too(device: TorchDevice, options: dict[str, Any]) -> None:
    backend = CudaBackend(device, host_bytes=1 << 30, **options)
    schedule = planned("cache", small_model(**WIDE), BF16, miss="cpu")
    (timeline,) = execute(schedule, backend)
    check_almost(schedule, timeline.times)
    backend.close()


def test_latent_attention_runs(backend: CudaBackend) -> None:
    schedule = planned("cache", small_model(attention=MLA, **WIDE), BF16)
    (timeline,) = execute(schedule, backend)
    check_almost(schedule, timeline.times)


def test_copies_move_the_weights_between_the_slots_and_the_pool(backend: CudaBackend) -> None:
    p = Program(small_model(**WIDE), FP32, default_lanes(), n_slots=2, start_slots=[(1, 0)])
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=4)
    p.load(2, 3)
    p.unload(1, 0)
    p.load_block(1)
    schedule = p.schedule()
    with backend.prepare(schedule) as prepared:
        memory = prepared._memory
        memory.host_expert((2, 3)).fill_(7)
        memory.slots[0].fill_(8)
        memory.host_blocks[1].fill_(9)
        torch.cuda.synchronize()
        run_once(schedule, prepared)
        assert bool((memory.slots[1] == 7).all())
        assert bool((memory.host_expert((1, 0)) == 8).all())
        assert bool((memory.gpu_blocks[1] == 9).all())


@pytest.mark.parametrize("precision", ["fp32", "bf16", "q4_0"])
@pytest.mark.parametrize("matrices", [2, 3])
def test_an_expert_computes_what_float64_does(device: TorchDevice, precision: str, matrices: int) -> None:
    error = expert_error(small_model(**WIDE, matrices=matrices), precision, device.gpu)
    assert error < TOLERANCE[dtype_of(computed_in(precision))]


@pytest.mark.parametrize("model", [small_model(**WIDE), small_model(attention=MLA, **WIDE)], ids=["gqa", "mla"])
@pytest.mark.parametrize("size", [OpSize(1, -1, 4, 9, 4), OpSize(1, -1, 6, 6, 1), OpSize(1, -1, 3, 7, 1)], ids=str)
def test_attention_computes_what_the_processor_does(device: TorchDevice, model: MoEModel, size: OpSize) -> None:
    outs = []
    for where in (torch.device("cpu"), device.gpu):
        space = Workspace(torch.float32, where, seed=1)
        block = random_tensor(model.layer_params(1), torch.float32, where, seed=2)
        cache = random_tensor(10_000, torch.float32, where, seed=3)
        with torch.inference_mode():
            compute_task(model, Kind.ATTENTION, size, Weights(block=block, cache=cache), space)()
        outs.append(space.take("out", size.tokens, model.hidden).double().cpu())
    assert float((outs[0] - outs[1]).norm() / outs[0].norm()) < 1e-3


def test_more_than_the_gpu_has_is_refused(device: TorchDevice) -> None:
    with pytest.raises(DoesNotFit, match="does not fit the GPU"):
        execute(planned("cache", small_model(**WIDE)), CudaBackend(device, gpu_bytes=10_000))


def test_a_short_calibration_prices_what_it_measured(device: TorchDevice, tmp_path: Path) -> None:
    model = small_model(**WIDE)
    machine = measure(CudaSite([(model, BF16)], device), tmp_path / "gpu.json", 5.0, lambda what, share: None)
    schedule = planned("cache", model, BF16, miss="cpu")
    costs = CostModel(machine, model, BF16)
    costs.of_schedule(schedule)
    assert not any("not measured" in warning for warning in costs.warnings)
    assert machine.memory["gpu0"].usable_bytes <= torch.cuda.get_device_properties(0).total_memory
    pinned = next(link for link in machine.links if (link.direction, link.memory) == ("h2d", "pinned"))
    assert pinned.curve.x[-1] / pinned.curve.seconds[-1] > 1e9
