from __future__ import annotations

from typing import Any

import pytest

from sim.cost import CostModel
from sim.errors import InputError
from sim.kernel_cost import KernelCost, OpSize, sizes_of
from sim.model import MoEModel
from sim.op_classes import block_classes
from sim.precision import Precisions
from sim.program import GPU
from sim.schedule import Kind
from sim.shapes import kernel_shape
from sim.work import work
from tests.machines import BF16, EXPERT_BYTES, roofline, stack, tiny_machine, tiny_model

ONE = OpSize(0, tokens=1, context=1)


def kernel(kind: str = "expert", *, x: list[float], seconds: list[float], **changes: Any) -> dict[str, Any]:
    return {
        "device": "gpu",
        "kind": kind,
        "shape": kernel_shape(tiny_model(), kind, 0, 0),
        "precision": "bf16",
        "curve": {"x": x, "seconds": seconds},
        "source": "made up",
    } | changes


def attention(context: float | None, x: list[float], seconds: list[float], phase: str = "any") -> dict[str, Any]:
    return kernel("attention", x=x, seconds=seconds, context=context, phase=phase)


class Pricer:
    """Kernel seconds on a machine given by its parts, with the warnings that came up."""

    def __init__(self, model: MoEModel | None = None, precisions: Precisions = BF16, **parts: Any) -> None:
        self.warnings: dict[str, None] = {}
        machine = tiny_machine(**parts)
        self._of = model or tiny_model(), precisions
        self._cost = KernelCost(machine, *self._of, machine.stack(), self.warnings)

    def __call__(self, kind: Kind, size: OpSize, device: str = "gpu") -> float:
        return float(self._cost.cost(device, kind, size, sizes_of(*self._of, kind, [size])).seconds[0])


def test_the_roofline_is_the_fixed_cost_and_the_slower_of_bytes_and_flop() -> None:
    memory_bound = Pricer(rooflines=[roofline("expert", bytes_per_s=440.0, flop_per_s=1e6, fixed_s=0.5)])
    compute_bound = Pricer(rooflines=[roofline("expert", bytes_per_s=1e6, flop_per_s=200.0, fixed_s=0.5)])
    size = OpSize(0, expert=1, tokens=1)  # 400 bytes of weights, 20 in, 20 out, 400 FLOP
    assert memory_bound(Kind.EXPERT, size) == 0.5 + 1.0
    assert compute_bound(Kind.EXPERT, size) == 0.5 + 2.0


@pytest.mark.parametrize("kind", [Kind.ATTENTION, Kind.GATE, Kind.EXPERT, Kind.COMBINE, Kind.HEAD])
def test_the_roofline_reads_the_work_of_every_kind(kind: Kind) -> None:
    pricer = Pricer(rooflines=[roofline(kind.name.lower(), bytes_per_s=100.0, fixed_s=0.0)])
    size = OpSize(1, expert=0 if kind == Kind.EXPERT else -1, tokens=4, context=6, sequences=2)
    need = work(
        tiny_model(), kind.name.lower(), 1, expert=size.expert, tokens=4, context=6, sequences=2, precisions=BF16
    )
    assert pricer(kind, size) == need.read_bytes / 100.0


def test_a_roofline_for_the_precision_goes_before_one_for_any() -> None:
    lines = [roofline("expert", fixed_s=9.0), roofline("expert", precision="bf16", fixed_s=2.0)]
    assert Pricer(rooflines=lines)(Kind.EXPERT, OpSize(0, 1, tokens=1)) == 2.0
    other = Pricer(precisions=Precisions("int8", "bf16", "bf16"), rooflines=lines)
    assert other(Kind.EXPERT, OpSize(0, 1, tokens=1)) == 9.0


def test_shared_and_routed_experts_are_priced_in_their_own_precision() -> None:
    lines = [roofline("expert", precision="int8", fixed_s=3.0), roofline("expert", precision="bf16", fixed_s=7.0)]
    pricer = Pricer(tiny_model(shared_hidden=10), Precisions("int8", "bf16", "bf16"), rooflines=lines)
    assert pricer(Kind.EXPERT, OpSize(0, expert=2, tokens=1)) == 3.0
    assert pricer(Kind.EXPERT, OpSize(0, expert=-1, tokens=1)) == 7.0


def test_without_table_and_roofline_the_kernel_is_named_in_one_line() -> None:
    with pytest.raises(InputError, match=r"rooflines: machine toy cannot time a kernel \(got 'gpu gate bf16'\)"):
        Pricer(rooflines=[roofline("expert")])(Kind.GATE, ONE)


def test_a_table_is_read_exactly_at_its_points_and_straight_between() -> None:
    pricer = Pricer(kernels=[kernel(x=[1, 4, 8], seconds=[0.3, 0.7, 1.1])])
    sizes = [OpSize(0, 1, tokens=n) for n in (1, 2, 4, 8)]
    assert [pricer(Kind.EXPERT, size) for size in sizes] == pytest.approx([0.3, 0.3 + 0.4 / 3, 0.7, 1.1], rel=1e-15)
    assert not pricer.warnings


def test_more_tokens_than_measured_are_extrapolated_with_a_warning() -> None:
    pricer = Pricer(kernels=[kernel(x=[1, 4], seconds=[0.1, 0.4])])
    assert pricer(Kind.EXPERT, OpSize(0, 1, tokens=8)) == pytest.approx(0.8)
    assert list(pricer.warnings) == ["gpu expert above 4 tokens is extrapolated"]


def test_the_bytes_read_are_those_of_the_work_also_where_seconds_come_from_a_table() -> None:
    machine = tiny_machine(
        kernels=[kernel(x=[1], seconds=[0.1])],
        devices={"gpu": {"traffic": {"dram": 1.0}}, "cpu": {}, "link": {}, "storage": {}},
        capacities={"dram": 1e9},
    )
    cost = CostModel(machine, tiny_model(), BF16).op(Kind.EXPERT, GPU, OpSize(0, 1, tokens=1))
    assert (cost.seconds, cost.demand) == (0.1, ((EXPERT_BYTES + 2 * 20) / 0.1,))


def test_a_table_counts_for_its_exact_shape_device_and_precision_only() -> None:
    table = kernel(x=[1], seconds=[0.1])
    others = [table | {"shape": [10, 20, 2]}, table | {"device": "cpu"}, table | {"precision": "fp8"}]
    assert Pricer(kernels=others)(Kind.EXPERT, OpSize(0, 1, tokens=1)) == 1.0  # the roofline's
    assert Pricer(kernels=[*others, table])(Kind.EXPERT, OpSize(0, 1, tokens=1)) == 0.1


def test_a_measured_machine_warns_where_it_falls_back_on_a_roofline() -> None:
    measured, datasheet = Pricer(origin="measured"), Pricer(origin="datasheet")
    measured(Kind.GATE, ONE)
    datasheet(Kind.GATE, ONE)
    assert list(measured.warnings) == ["gpu gate of shape (10, 4) in bf16 was not measured: roofline"]
    assert not datasheet.warnings


def test_attention_is_interpolated_over_context() -> None:
    pricer = Pricer(kernels=[attention(500, [1, 2], [4.0, 5.0]), attention(100, [1, 2], [2.0, 3.0])])
    read = [pricer(Kind.ATTENTION, OpSize(0, tokens=1, context=context)) for context in (100, 300, 500)]
    assert read == [2.0, 3.0, 4.0]
    assert not pricer.warnings


def test_attention_beyond_the_measured_context_goes_on_with_a_warning() -> None:
    pricer = Pricer(kernels=[attention(100, [1], [2.0]), attention(500, [1], [4.0])])
    assert pricer(Kind.ATTENTION, OpSize(0, tokens=1, context=900)) == 6.0
    assert list(pricer.warnings) == ["gpu attention beyond a context of 500 is extrapolated"]


def test_a_falling_end_is_not_followed_to_longer_contexts() -> None:
    pricer = Pricer(kernels=[attention(100, [1], [2.0]), attention(500, [1], [1.9])])
    assert pricer(Kind.ATTENTION, OpSize(0, tokens=1, context=10_000)) >= 1.9


def test_attention_at_a_shorter_context_than_measured_never_comes_out_free() -> None:
    pricer = Pricer(kernels=[attention(1024, [1], [1.0]), attention(4096, [1], [10.0])])
    assert pricer(Kind.ATTENTION, OpSize(0, tokens=1, context=16)) > 0


def test_extrapolation_warns_also_if_only_one_context_lacks_the_tokens() -> None:
    pricer = Pricer(kernels=[attention(100, [1, 64], [2.0, 3.0]), attention(500, [1, 4], [4.0, 5.0])])
    pricer(Kind.ATTENTION, OpSize(0, tokens=16, sequences=16, context=400))
    assert list(pricer.warnings) == ["gpu attention above 4 tokens is extrapolated"]


def test_prefill_and_decode_have_tables_of_their_own() -> None:
    pricer = Pricer(kernels=[attention(None, [1, 64], [0.5, 5.0], "prefill"), attention(8, [1], [0.25], "decode")])
    assert pricer(Kind.ATTENTION, OpSize(0, tokens=64, context=64)) == 5.0
    assert pricer(Kind.ATTENTION, OpSize(0, tokens=1, context=8)) == 0.25


def test_the_attention_of_several_prompts_is_priced_as_one_after_the_other() -> None:
    pricer = Pricer(kernels=[attention(None, [1, 64], [1.0, 64.0], "prefill")])
    assert pricer(Kind.ATTENTION, OpSize(0, tokens=96, context=32, sequences=3)) == 3 * 32.0


def test_the_stack_slows_kernels_down_most_specific_name_first() -> None:
    slow = {"gpu.expert": 2.0, "gpu.expert.int8": 8.0}
    stacks = {"plain": stack(slowdown=slow)}
    assert Pricer(stacks=stacks)(Kind.EXPERT, OpSize(0, 1, tokens=1)) == 2.0
    assert Pricer(stacks=stacks)(Kind.GATE, ONE) == 1.0
    int8 = Pricer(stacks=stacks, precisions=Precisions("int8", "bf16", "bf16"))
    assert int8(Kind.EXPERT, OpSize(0, 1, tokens=1)) == 8.0
    assert list(int8.warnings) == [
        "int8 has no fused GPU kernels on this stack and takes 8.0 times as long; is it the right `stack`?"
    ]


def test_blocks_are_of_one_class_exactly_if_their_ops_cost_the_same() -> None:
    model = tiny_model(n_layers=6, moe_layers=(1, 2, 3, 4, 5), dense_hidden=10, sliding_window=4, sliding_layers=(2, 4))
    assert block_classes(model).tolist() == [0, 1, 2, 1, 2, 1]


def test_encoder_and_decoder_blocks_differ() -> None:
    model = tiny_model(n_layers=4, moe_layers=(1, 3), dense_hidden=10, encoder_layers=2, top_k=1)
    assert block_classes(model).tolist() == [0, 1, 2, 3]
