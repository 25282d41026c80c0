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


def test_the_gpus_experts_in_ascending_order_and_then_the_cpus_one_by_one() -> None:
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
        17 load gpu0.h2d 1/1 stream slot2 400B after 4 6 15
        18 wait host after 17                          # 1/3 is not issued before
        19 expert gpu0 1/1 stream slot2 3t after 15 17
        20 expert gpu0 1/3 hit slot0 3t after 15
        21 combine gpu0 1 3t after 19 20
        22 head gpu0 1 1t after 21
        23 wait host after 22
    """)


def test_the_time_is_worked_out_by_hand() -> None:
    """Sends take 1 s, a load 10 s, a token on the CPU 4 s; 0/0 runs beside the copy of 0/2, 1/3 after that of 1/1."""
    timeline = timed(plan_tiny("fiddler", PROMPT, 2, cpu_below=2))
    first = 1 + 1 + 10 + (1 + 4 + 1) + 1  # the streamed expert runs beside the CPU's
    second = 1 + 1 + 10 + 1 + 1 + 1
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


def test_daops_version_has_its_own_constants() -> None:
    for tokens, reason in ((24, Reason.OFFLOAD), (25, Reason.STREAM)):
        trace = trace_of(*[[[2, 3], [3, 2]]] * tokens, prompts=[tokens])
        schedule = plan_tiny("fiddler", trace, 2, variant="daop")
        assert {Reason(r) for r in schedule.ops.reason[ops_where(schedule, kind=Kind.EXPERT, expert=2)]} == {reason}


def test_daops_version_computes_a_prompts_cpu_experts_in_a_second_thread() -> None:
    """The first block of the same prompt: 0/3 is down and done while 0/2 is still coming."""
    schedule = plan_tiny("fiddler", PROMPT, 2, cpu_below=2, variant="daop")
    assert listing(schedule)[3:12] == lines("""
        3 send gpu0.d2h 0 offload 1t 20B after 1
        4 expert cpu 0/3 offload 1t after 3
        5 expert gpu0 0/0 hit slot1 2t after 1
        6 load gpu0.h2d 0/2 stream slot2 400B after 1
        7 wait host after 6
        8 expert gpu0 0/2 stream slot2 3t after 1 6
        9 send gpu0.h2d 0 offload 1t 20B p-1 after 4
        10 wait host after 9
        11 combine gpu0 0 3t after 5 8 9
    """)
    first = 1 + 1 + 10 + 1 + 1  # the result is sent up while 0/2 runs
    second = 1 + 1 + 10 + 1 + 1 + 1
    assert timed(schedule).makespan_s == first + second + 1


def test_daops_version_decodes_each_expert_where_it_is_in_the_routers_order() -> None:
    """Never through the link, however cheap: 1/1 first, for it is the router's first choice."""
    schedule = plan_tiny("fiddler", trace_of([[0, 2], [1, 3]]), 2, variant="daop", cpu_below=1)
    assert ops_where(schedule, kind=Kind.LOAD) == []
    ops = schedule.ops
    ran = [(ops.expert[op], schedule.lanes[ops.lane[op]].name) for op in ops_where(schedule, kind=Kind.EXPERT)]
    assert ran == [(0, "gpu0"), (2, "cpu"), (1, "cpu"), (3, "gpu0")]
    beside, alone = 1 + 1 + (1 + 4 + 1) + 1, 1 + 1 + (1 + 4 + 1) + 1 + 1  # 1/3 is launched after 1/1 has come back
    assert timed(schedule).makespan_s == beside + alone + 1


def test_the_most_popular_experts_of_all_are_placed_by_prompts_or_by_decode_steps() -> None:
    """In calibration, prompts go to 2 and 3 of block 0 and decode steps to 1 and 0; block 1 comes last in both."""
    prompt, decode = [[2, 3], [2, 1]], [[1, 0], [3, 0]]
    calibration = trace_of(*[prompt] * 3, *[decode] * 2, prompts=[3])
    for variant, placed in (("upstream", {(0, 2), (0, 3)}), ("daop", {(0, 0), (0, 1)})):
        schedule = plan(
            make_strategy("fiddler", variant=variant), tiny_model(), BF16, ONE_TOKEN, cached=2,
            popularity=calibration.popularity(), calibration=calibration,
        )  # fmt: skip
        assert set(schedule.start_slots) == placed, "no block is given a share"


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
