from __future__ import annotations

import pytest

from scenarios.stacks import stacks
from sim.precision import PRECISIONS


def test_the_stacks_differ_in_what_belongs_to_software() -> None:
    by_name = stacks()
    assert list(by_name) == ["pytorch-eager", "pytorch-eager-pageable", "cuda-graph", "llama.cpp"]
    eager, pageable = by_name["pytorch-eager"], by_name["pytorch-eager-pageable"]
    assert pageable == eager.model_copy(update={"copies": "pageable"})
    assert all(
        by_name["cuda-graph"].dispatch_s[kind] < eager.dispatch_s[kind] for kind in ("attention", "gate", "expert")
    )
    assert [name for name, each in by_name.items() if each.grouped_experts] == ["llama.cpp"]
    assert eager.dispatch_s["expert"] == pytest.approx(12 * 6.4e-6)


def test_unfused_formats_pay_for_unpacking_and_fused_ones_do_not() -> None:
    slowdown = stacks()["pytorch-eager"].slowdown
    assert slowdown["gpu.expert.q4_k"] == pytest.approx((4.5 + 32) / 4.5)
    assert slowdown["cpu.expert.int8"] == pytest.approx(5)
    assert "gpu.expert.int4" not in slowdown
    assert stacks()["llama.cpp"].slowdown == {}
    for key in slowdown:
        assert PRECISIONS[key.rsplit(".", 1)[1]].bits < 16
