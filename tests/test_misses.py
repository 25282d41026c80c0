from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim.cost import CostModel
from sim.errors import InputError
from sim.parts.misses import cpu_is_cheaper, on_cpu, run_or_stream, side_by_side, stream
from sim.program import Program, default_lanes
from sim.schedule import Phase
from sim.strategy import LayerPass, World
from tests.listing import lines, listing
from tests.machines import BF16, link, roofline, tiny_costs, tiny_machine, tiny_model


def begun(tokens: int) -> tuple[Program, LayerPass, int]:
    """A program at a block whose expert 3 has `tokens` tokens, and the gate's op."""
    p = Program(tiny_model(), BF16, default_lanes(), n_slots=2, start_slots=[(0, 0)])
    p.begin_step(Phase.PREFILL, 0, sequences=1, tokens=tokens, context=tokens)
    gate = p.gate(0)
    ids = np.full((tokens, 1), 3, np.uint8)
    return p, LayerPass(0, 0, 0, Phase.PREFILL, tokens, {3: tokens}, ids, None), gate


def test_streaming_loads_through_the_free_slot_and_keeps_nothing() -> None:
    p, now, gate = begun(tokens=2)
    done = stream(p, now, 3, gate)
    assert not p.resident(0, 3)
    assert done == 2
    assert listing(p.schedule()) == lines("""
        0 gate gpu0 0 2t
        1 load gpu0.h2d 0/3 stream slot1 400B after 0
        2 expert gpu0 0/3 stream slot1 2t after 0 1
    """)


def test_blocking_streams_hold_the_host_for_the_copy() -> None:
    p, now, gate = begun(tokens=2)
    stream(p, now, 3, gate, blocking=True)
    assert listing(p.schedule())[2:] == lines("""
        2 wait host after 1
        3 expert gpu0 0/3 stream slot1 2t after 0 1
    """)


def test_on_the_cpu_activations_go_down_and_results_come_up() -> None:
    p, now, gate = begun(tokens=3)
    assert on_cpu(p, now, 3, gate) == 3
    assert listing(p.schedule()) == lines("""
        0 gate gpu0 0 3t
        1 send gpu0.d2h 0 offload 3t 60B after 0
        2 expert cpu 0/3 offload 3t after 1
        3 send gpu0.h2d 0 offload 3t 60B p-1 after 2
    """)


def test_blocking_cpu_experts_hold_the_host_at_each_turn() -> None:
    p, now, gate = begun(tokens=3)
    assert on_cpu(p, now, 3, gate, blocking=True) == 5
    assert [line for line in listing(p.schedule()) if "wait" in line] == lines("""
        2 wait host after 1
        4 wait host after 3
        6 wait host after 5
    """)


def side(tokens_of: dict[int, int], *, on_host: list[int], **options: Any) -> list[str]:
    """What `side_by_side` writes after the gate of a block whose expert 0 is on the GPU."""
    p, now, gate = begun(tokens=9)
    side_by_side(p, replace(now, tokens_of=tokens_of), on_host, gate, **options)
    return listing(p.schedule())[1:]


def test_side_by_side_the_cpu_starts_first_and_its_results_come_up_last() -> None:
    assert side({0: 2, 1: 1, 3: 3}, on_host=[1], blocking=True) == lines("""
        1 send gpu0.d2h 0 offload 1t 20B after 0
        2 expert cpu 0/1 offload 1t after 1
        3 expert gpu0 0/0 hit slot0 2t after 0
        4 load gpu0.h2d 0/3 stream slot1 400B after 0
        5 wait host after 4
        6 expert gpu0 0/3 stream slot1 3t after 0 4
        7 send gpu0.h2d 0 offload 1t 20B p-1 after 2
        8 wait host after 7
    """)


def test_side_by_side_without_blocking_the_host_waits_for_nothing() -> None:
    assert not [line for line in side({0: 2, 1: 1, 3: 3}, on_host=[1], blocking=False) if "wait" in line]
    assert not [line for line in side({0: 2}, on_host=[], blocking=True) if "wait" in line], "nothing to wait for"


def test_what_the_layer_has_just_loaded_is_no_hit() -> None:
    assert side({0: 2}, on_host=[], blocking=True, loaded={0}) == ["1 expert gpu0 0/0 demand slot0 2t after 0"]


def test_a_resident_expert_runs_and_any_other_streams() -> None:
    p, now, gate = begun(tokens=2)
    now = replace(now, tokens_of={0: 2, 3: 2})
    assert [run_or_stream(p, now, e, gate) for e in (0, 3)] == [1, 3]
    assert [line.split()[1:4] for line in listing(p.schedule())[1:]] == [
        ["expert", "gpu0", "0/0"], ["load", "gpu0.h2d", "0/3"], ["expert", "gpu0", "0/3"]
    ]  # fmt: skip


def world(costs: CostModel | None, **changes: Any) -> World:
    return World(tiny_model(), BF16, n_slots=2, popularity=np.ones((2, 4), np.int64), costs=costs)


@pytest.mark.parametrize(("tokens", "cheaper"), [(1, True), (2, True), (3, False)])
def test_the_cpu_is_cheaper_while_its_seconds_are_below_those_of_load_and_gpu(tokens: int, cheaper: bool) -> None:
    """CPU: 4 s a token. Load 10 s, GPU 1 s."""
    assert cpu_is_cheaper(world(tiny_costs()), 0, 3, tokens) is cheaper


def test_the_choice_follows_the_machine() -> None:
    fast_link = tiny_machine(links=[link("h2d", curve={"x": [400], "seconds": [0.5]})])
    fast_cpu = tiny_machine(
        rooflines=[roofline("expert"), roofline("expert", device="cpu", flop_per_s=1e4, fixed_s=0.0)]
    )
    assert not cpu_is_cheaper(world(tiny_costs(machine=fast_link)), 0, 3, 1)
    assert cpu_is_cheaper(world(tiny_costs(machine=fast_cpu)), 0, 3, 200)


def test_comparing_without_a_machine_is_one_clear_line() -> None:
    with pytest.raises(InputError, match=r"machine: a strategy that compares CPU and GPU needs a machine; name one"):
        cpu_is_cheaper(world(None), 0, 3, 1)
