from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from hwexec.execute import execute
from hwexec.host import HostBackend
from hwexec.memory import Memory
from hwexec.needs import needs_of
from hwexec.tasks import TaskBuilder, copy_now
from sim.errors import DoesNotFit, InputError
from sim.model import Attention, MoEModel
from sim.plan import plan
from sim.precision import Precisions
from sim.program import Program, default_lanes
from sim.schedule import Kind, Phase, Schedule
from sim.strategies.registry import make_strategy
from sim.timeline import Timeline
from tests.hardware import FP32, check_rules, small_model
from tests.traces import random_trace

MLA = Attention("mla", heads=2, kv_lora_rank=8, rope_head_dim=4, nope_head_dim=6, v_head_dim=5)
CPU = torch.device("cpu")


def planned(
    name: str, model: MoEModel, precisions: Precisions = FP32, batch: int = 2, cached: int = 4, **knobs: Any
) -> Schedule:
    trace = random_trace([(4, 3), (5, 2)], model.n_moe_layers, model.n_experts, model.top_k)
    return plan(make_strategy(name, **knobs), model, precisions, trace, cached=cached, batch=batch)


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
def test_strategies_run_for_real_and_keep_the_rules(name: str, knobs: dict[str, Any]) -> None:
    schedule = planned(name, small_model(), cached=8 if name == "layer-streaming" else 4, **knobs)
    first, second = execute(schedule, repeats=2)
    for timeline in (first, second):
        check_rules(schedule, timeline.times)
        assert timeline.source == "measured"
    assert (first.meta["repeat"], second.meta["repeat"]) == (0, 1)
    assert first.meta["backend"] == "host"
    assert first.meta["condition_before"]["read_bytes_per_s"] > 0
    assert first.meta["condition_after"]["read_bytes_per_s"] > 0
    assert set(first.meta["fingerprint"]) >= {"cpu", "torch", "kernel", "date"}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_latent_attention_and_half_precision_run(precision: str) -> None:
    schedule = planned("cache", small_model(attention=MLA), Precisions(precision, precision, precision))
    (timeline,) = execute(schedule)
    check_rules(schedule, timeline.times)


def test_a_timeline_is_saved_and_loads_equal(tmp_path: Path) -> None:
    schedule = planned("on-demand", small_model())
    (timeline,) = execute(schedule)
    timeline.save(tmp_path / "t.arrow")
    loaded = Timeline.load(tmp_path / "t.arrow", schedule)
    assert loaded.meta == timeline.meta
    assert np.array_equal(loaded.times.end_s, timeline.times.end_s)


def tasks_on(p: Program, pool: int) -> tuple[Memory, list[Any]]:
    schedule = p.schedule()
    memory = Memory(schedule, needs_of(schedule), pool, CPU, seed=0)
    return memory, TaskBuilder(schedule, memory, CPU, copy_now).build()


def program() -> Program:
    p = Program(small_model(), FP32, default_lanes(), n_slots=2, start_slots=[(1, 0)])
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=4)
    return p


def test_copies_move_the_weights_between_the_slots_and_the_pool() -> None:
    p = program()
    p.load(2, 3)
    p.unload(1, 0)
    p.load_block(1)
    memory, tasks = tasks_on(p, pool=2)
    memory.host_expert((2, 3)).fill_(7)
    memory.slots[0].fill_(8)
    memory.host_blocks[1].fill_(9)
    for task in tasks:
        task()
    assert (memory.slots[1] == 7).all()
    assert (memory.host_expert((1, 0)) == 8).all()
    assert (memory.gpu_blocks[1] == 9).all()


def test_an_expert_reads_its_slot_or_on_the_cpu_the_hosts_weights() -> None:
    p = program()
    p.expert(2, 3, 1, on="cpu")
    memory, _ = tasks_on(p, pool=1)
    assert memory.weights(1, 0, 0, on_gpu=True).expert is memory.slots[0]
    assert memory.weights(2, 3, -1, on_gpu=False).expert is memory.host_expert((2, 3))


def test_a_read_brings_bytes_from_a_file() -> None:
    p = program()
    p.read(2, 3)
    memory, (read,) = tasks_on(p, pool=1)
    target = memory.host_expert((2, 3))
    target.zero_()
    read()
    memory.close()
    assert 0.01 < float(target.std()) < 0.03


def test_experts_share_a_pool_in_turn_when_memory_is_short_and_the_timeline_says_so() -> None:
    schedule = planned("cache", small_model(), cached=1)
    touched = len(needs_of(schedule).host_experts)
    memory = Memory(schedule, needs_of(schedule), 2, CPU, seed=0)
    keys = needs_of(schedule).host_experts
    assert memory.host_expert(keys[0]) is memory.host_expert(keys[2])
    assert memory.host_expert(keys[0]) is not memory.host_expert(keys[1])
    (timeline,) = execute(schedule)
    assert timeline.meta["host_experts"] == timeline.meta["host_expert_buffers"] == touched


def test_a_schedule_that_needs_more_memory_than_there_is_is_refused() -> None:
    with pytest.raises(DoesNotFit, match=r"= .* GB > .* GB available"):
        execute(planned("cache", small_model()), HostBackend(usable_bytes=1000))


@pytest.mark.parametrize(
    ("precisions", "complaint"),
    [
        (Precisions("q4_k", "fp32", "fp32"), "no kernel for this precision"),
        (Precisions("fp32", "fp32", "bf16"), "KV cache in the weights' own precision"),
    ],
)
def test_what_has_no_kernel_is_refused_in_one_line(precisions: Precisions, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        execute(planned("cache", small_model(), precisions))


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(InputError, match=r"no such backend.*tpu.*host"):
        execute(planned("cache", small_model()), "tpu")


def test_missing_torch_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwexec.backends.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'moesim\[hw\]'"):
        execute(planned("cache", small_model()))


def test_every_kind_of_op_takes_time_on_its_lane() -> None:
    schedule = planned("cache", small_model(), miss="cpu")
    (timeline,) = execute(schedule)
    lasted = timeline.times.end_s - timeline.times.start_s
    ran = schedule.ops.kind != Kind.WAIT
    assert (lasted[ran] > 0).all()
    assert timeline.busy_s("cpu") > 0


def test_importing_the_package_does_not_import_torch() -> None:
    import subprocess

    code = "import sys, hwexec, hwexec.execute, hwexec.backends, calibrate.run; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_a_schedule_without_ops_runs() -> None:
    p = Program(small_model(), FP32, default_lanes())
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    (timeline,) = execute(p.schedule())
    assert timeline.makespan_s == 0
