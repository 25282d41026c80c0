from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.plan import plan
from sim.schedule import Kind, Reason
from sim.strategies.registry import make_strategy
from tests.hand_work import ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import BF16, link, tiny_machine, tiny_model

# Three prompt tokens: 0/2 has three, 0/0 two, 0/3 one; all three go to 1/3 and 1/1.
PROMPT = trace_of([[2, 3], [3, 1]], [[2, 0], [3, 1]], [[2, 0], [3, 1]], prompts=[3])
ONE_TOKEN = trace_of([[0, 2], [3, 1]])


def test_gpu_experts_first_then_streamed_ones_then_the_cpu_one_by_one() -> None:
    """With two slots, experts 0/0 and 1/3 stay; fewer than two tokens go to the CPU."""
    assert listing(plan_tiny("fiddler", PROMPT, 2, cpu_below=2)) == lines("""
        0 attention gpu0 0 3t
        1 gate gpu0 0 3t after 0
        2 wait host after 1
        3 expert gpu0 0/0 hit slot1 2t after 1
        4 load gpu0.h2d 0/2 stream slot2 400B after 1
        5 wait host after 4                            # the copy is synchronous
        6 expert gpu0 0/2 stream slot2 3t after 1 4
        7 send gpu0.d2h 0 offload 1t 20B after 1
        8 wait host after 7
        9 expert cpu 0/3 offload 1t after 7
        10 wait host after 9                           # and so is the CPU expert
        11 send gpu0.h2d 0 offload 1t 20B p-1 after 9
        12 wait host after 11
        13 combine gpu0 0 3t after 3 6 11
        14 attention gpu0 1 3t after 13
        15 gate gpu0 1 3t after 14
        16 wait host after 15
        17 expert gpu0 1/3 hit slot0 3t after 15
        18 load gpu0.h2d 1/1 stream slot2 400B after 4 6 15
        19 wait host after 18
        20 expert gpu0 1/1 stream slot2 3t after 15 18
        21 combine gpu0 1 3t after 17 20
        22 head gpu0 1 1t after 21
        23 wait host after 22
    """)


def test_the_time_is_worked_out_by_hand() -> None:
    """Sends take 1 s, a load 10 s, a token on the CPU 4 s; the resident expert runs beside."""
    timeline = timed(plan_tiny("fiddler", PROMPT, 2, cpu_below=2))
    first = 1 + 1 + 10 + (1 + 4 + 1) + 1  # the streamed expert runs beside the CPU's
    second = 1 + 1 + 10 + 1 + 1
    assert timeline.makespan_s == first + second + 1


def test_the_released_code_sends_fewer_than_ten_tokens_to_the_cpu() -> None:
    for tokens, reason in ((9, Reason.OFFLOAD), (10, Reason.STREAM)):
        trace = trace_of(*[[[2, 3], [3, 2]]] * tokens, prompts=[tokens])
        schedule = plan_tiny("fiddler", trace, 2)
        assert {Reason(r) for r in schedule.ops.reason[ops_where(schedule, kind=Kind.EXPERT, expert=2)]} == {reason}


def test_with_overlap_cpu_experts_and_copies_run_beside_each_other() -> None:
    blocking, overlapped = (
        timed(plan_tiny("fiddler", PROMPT, 2, cpu_below=2, overlap=overlap)) for overlap in (False, True)
    )
    waits = [len(ops_where(timeline.schedule, kind=Kind.WAIT)) for timeline in (blocking, overlapped)]
    assert waits == [8, 3]
    assert blocking.makespan_s - overlapped.makespan_s == 5.0, "0/3 is down and done while 0/2 is still coming"


@pytest.mark.parametrize(("load_s", "on_cpu"), [(10.0, {2: True, 1: False}), (1.0, {2: False, 1: False})])
def test_without_a_threshold_the_machine_decides(load_s: float, on_cpu: dict[int, bool]) -> None:
    """Two tokens in 0/2 take 8 s on the CPU, three in 1/1 12 s; the GPU takes the load and 1 s."""
    trace = trace_of([[0, 2], [3, 1]], [[0, 2], [3, 1]], [[0, 1], [3, 1]], prompts=[3])
    machine = tiny_machine(links=[link(d, curve={"x": [40, 400], "seconds": [0.5, load_s]}) for d in ("h2d", "d2h")])
    schedule = plan_tiny("fiddler", trace, 3, machine=machine, cpu_below=0)
    cpu = schedule.lane_index["cpu"]
    two, three = (ops_where(schedule, kind=Kind.EXPERT, layer=layer, expert=e)[0] for layer, e in ((0, 2), (1, 1)))
    assert {2: schedule.ops.lane[two] == cpu, 1: schedule.ops.lane[three] == cpu} == on_cpu


def test_one_token_goes_to_the_cpu_unless_it_hits() -> None:
    schedule = plan_tiny("fiddler", ONE_TOKEN, 2)
    experts = ops_where(schedule, kind=Kind.EXPERT)
    lanes = [schedule.lanes[lane].name for lane in schedule.ops.lane[experts]]
    assert list(zip(schedule.ops.expert[experts].tolist(), lanes, strict=True)) == [
        (0, "gpu0"), (2, "cpu"), (3, "gpu0"), (1, "cpu")
    ]  # fmt: skip


def test_the_placement_never_changes() -> None:
    trace = trace_of(*[[[0, 2], [3, 1]], [[1, 3], [0, 2]]] * 4)
    schedule = plan_tiny("fiddler", trace, 3)
    assert ops_where(schedule, kind=Kind.UNLOAD) == []
    hits = {
        (int(schedule.ops.layer[op]), int(schedule.ops.expert[op])) for op in ops_where(schedule, reason=Reason.HIT)
    }
    assert hits <= set(schedule.start_slots)


def test_weighing_without_a_machine_is_one_clear_line() -> None:
    with pytest.raises(InputError, match="machine: a strategy that compares CPU and GPU needs a machine"):
        plan(make_strategy("fiddler", cpu_below=0), tiny_model(), BF16, ONE_TOKEN, cached=2)
