from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.adjust import CHANGES, adjusted, copy_bytes_per_s
from scenarios.machine_presets import load_machine
from scenarios.presets import load_model
from sim.cost import CostModel
from sim.errors import InputError
from sim.kernel_cost import OpSize
from sim.machine import Curve, Kernel, Link, Machine
from sim.precision import Precisions
from sim.program import CPU, D2H, GPU, H2D
from sim.schedule import Kind

MIXTRAL = load_model("mixtral-8x7b")
BF16 = Precisions("bf16", "bf16", "bf16")
BOX = load_machine("a6000-i9-10980xe")
PINNED, PAGEABLE = "pytorch-eager", "pytorch-eager-pageable"


def costs(machine: Machine, stack: str = PINNED) -> CostModel:
    return CostModel(machine, MIXTRAL, BF16, stack)


def copy_s(machine: Machine, size_bytes: int, stack: str = PINNED, lane: str = H2D) -> float:
    return costs(machine, stack).op(Kind.LOAD, lane, OpSize(0, 0, size_bytes=size_bytes)).seconds


def expert_s(machine: Machine, lane: str, tokens: int = 1) -> float:
    return costs(machine).op(Kind.EXPERT, lane, OpSize(0, 0, tokens=tokens)).seconds


def link(machine: Machine, direction: str, memory: str) -> Link:
    return next(each for each in machine.links if (each.direction, each.memory) == (direction, memory))


def kernel(device: str, *seconds: float) -> Kernel:
    x = tuple(float(2**i) for i in range(len(seconds)))
    curve = Curve(x=x, seconds=seconds)
    return Kernel(device=device, kind="expert", shape=(1, 1), precision="bf16", curve=curve, source="made up")


def test_no_change_is_the_same_machine() -> None:
    assert adjusted(BOX, {}) is BOX


def test_a_link_takes_the_stated_rate_and_keeps_the_fixed_cost_of_a_copy() -> None:
    changed = adjusted(BOX, {"link.pageable.gb_per_s": 8})
    assert copy_bytes_per_s(link(changed, "h2d", "pageable")) == pytest.approx(8e9)
    before, size = copy_bytes_per_s(link(BOX, "h2d", "pageable")), 1 << 28
    fixed = copy_s(BOX, size, PAGEABLE) - size / before
    assert copy_s(changed, size, PAGEABLE) == pytest.approx(fixed + size / 8e9)
    assert copy_s(changed, size, PINNED) == copy_s(BOX, size, PINNED)


def test_one_direction_of_a_link_changes_alone() -> None:
    changed = adjusted(BOX, {"link.h2d.speed": 2})
    size = 1 << 30
    assert copy_s(changed, size) == pytest.approx(copy_s(BOX, size) / 2, rel=1e-3)
    assert copy_s(changed, size, lane=D2H) == copy_s(BOX, size, lane=D2H)


@given(st.sampled_from([name for name in CHANGES if name.endswith("speed")]), st.floats(1.01, 20))
def test_more_speed_never_makes_an_op_slower(name: str, factor: float) -> None:
    changed = adjusted(BOX, {name: factor})
    for size in (1, 5000, 1 << 20, 1 << 29):
        assert copy_s(changed, size) <= copy_s(BOX, size) * (1 + 1e-12)
    for lane in (GPU, CPU):
        for tokens in (1, 100, 4000):
            assert expert_s(changed, lane, tokens) <= expert_s(BOX, lane, tokens)


@pytest.mark.parametrize(("device", "lane"), [("gpu", GPU), ("cpu", CPU)])
def test_speed_of_a_device_is_of_its_bandwidth_and_its_arithmetic(device: str, lane: str) -> None:
    changed = adjusted(BOX, {f"{device}.speed": 2})
    fixed = next(x.fixed_s for x in BOX.rooflines if (x.device, x.kind) == (device, "expert"))
    for tokens in (1, 4096):
        assert expert_s(changed, lane, tokens) - fixed == pytest.approx((expert_s(BOX, lane, tokens) - fixed) / 2)


def test_speed_of_a_device_is_of_its_measured_kernels_too() -> None:
    machine = BOX.model_copy(update={"kernels": (kernel("gpu", 1.0, 3.0), kernel("cpu", 1.0, 3.0))})
    gpu, cpu = adjusted(machine, {"gpu.speed": 2}).kernels
    assert gpu.curve.seconds == pytest.approx((0.5, 1.5), rel=1e-4)
    assert cpu.curve.seconds == (1.0, 3.0)


def test_bandwidth_of_a_device_is_what_small_kernels_get() -> None:
    read = MIXTRAL.expert_bytes("bf16")
    assert read / expert_s(adjusted(BOX, {"cpu.gb_per_s": 20}), CPU) == pytest.approx(20e9, rel=0.01)


def test_slower_host_memory_slows_all_who_draw_on_it() -> None:
    changed = adjusted(BOX, {"dram.gb_per_s": 10})
    assert changed.capacities["dram"] == 10e9
    assert copy_bytes_per_s(link(changed, "h2d", "pinned")) == pytest.approx(10e9)
    assert copy_bytes_per_s(link(changed, "h2d", "pageable")) == copy_bytes_per_s(link(BOX, "h2d", "pageable"))
    assert MIXTRAL.expert_bytes("bf16") / expert_s(changed, CPU) == pytest.approx(10e9, rel=0.01)
    assert expert_s(changed, GPU) == expert_s(BOX, GPU)


def test_faster_host_memory_leaves_each_user_as_fast_as_it_is_alone() -> None:
    changed = adjusted(BOX, {"dram.speed": 2})
    assert changed.capacities["dram"] == pytest.approx(2 * BOX.capacities["dram"])
    assert expert_s(changed, CPU) == expert_s(BOX, CPU)


def test_half_the_dispatch_speed_doubles_what_the_host_takes() -> None:
    slow, usual = costs(adjusted(BOX, {"dispatch.speed": 0.5})), costs(BOX)
    assert slow.dispatch_s(Kind.ATTENTION) == 2 * usual.dispatch_s(Kind.ATTENTION)
    assert slow.stack.sync_s == 2 * usual.stack.sync_s
    assert slow.handoff_s(CPU) == 2 * usual.handoff_s(CPU)


def test_memory_sizes_are_what_a_program_can_use() -> None:
    changed = adjusted(BOX, {"gpu.memory_gib": 24, "host.memory_gib": 16})
    assert [changed.memory[name].usable_bytes for name in ("gpu0", "host")] == [24 << 30, 16 << 30]


def test_changes_are_made_in_the_order_given_and_told() -> None:
    changed = adjusted(BOX, {"link.gb_per_s": 10, "link.pinned.speed": 2})
    assert copy_bytes_per_s(link(changed, "h2d", "pinned")) == pytest.approx(20e9)
    assert copy_bytes_per_s(link(changed, "d2h", "pageable")) == pytest.approx(10e9)
    assert changed.name == "a6000-i9-10980xe (adjusted)"
    assert changed.sources["adjusted"] == "link.gb_per_s 10, link.pinned.speed 2"


def test_an_adjusted_machine_is_a_machine_that_saves_and_loads(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("machine") / "m.json"
    for name in CHANGES:
        changed = adjusted(BOX, {name: 3})
        changed.save(path)
        assert Machine.load(path) == changed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"link.pagable.gb_per_s": 8.0}, "link.pagable.gb_per_s: no number of a machine is called this; did you mean"),
        ({"cpu.speed": 0.0}, "cpu.speed: must be a positive number (got 0.0)"),
        ({"cpu.speed": float("inf")}, "cpu.speed: must be a positive number"),
    ],
)
def test_what_cannot_be_changed_is_refused_in_one_line(changes: dict[str, float], words: str) -> None:
    with pytest.raises(InputError) as caught:
        adjusted(BOX, changes)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_a_number_that_the_machine_does_not_have_is_refused() -> None:
    measured = BOX.model_copy(update={"kernels": (kernel("cpu", 1.0),), "capacities": {}})
    with pytest.raises(InputError, match=r"cpu\.gb_per_s.*measured as wholes; change cpu\.speed"):
        adjusted(measured, {"cpu.gb_per_s": 10})
    with pytest.raises(InputError, match=r"dram\.speed.*no such shared capacity"):
        adjusted(measured, {"dram.speed": 2})
