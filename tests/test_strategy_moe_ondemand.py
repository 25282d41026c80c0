from __future__ import annotations

from sim.plan import plan
from sim.schedule import Kind
from sim.strategies.registry import make_strategy
from tests.hand_work import loaded, ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import BF16, tiny_model

# With two slots, 0/0 and 1/3 stay. 0/1 and 1/2 miss in the prompt, 0/1 and 1/1 in the step after it.
TRACE = trace_of([[1, 0], [2, 3]], [[1, 0], [3, 2]], [[0, 1], [1, 3]], prompts=[2])


def test_experts_run_in_ascending_order_and_a_miss_holds_the_host() -> None:
    schedule = plan_tiny("moe-ondemand", TRACE, 2)
    assert listing(schedule)[:17] == lines("""
        0 attention gpu0 0 2t
        1 gate gpu0 0 2t after 0
        2 wait host after 1
        3 expert gpu0 0/0 hit slot1 2t after 1
        4 load gpu0.h2d 0/1 stream slot2 400B after 1
        5 wait host after 4
        6 expert gpu0 0/1 stream slot2 2t after 1 4
        7 combine gpu0 0 2t after 3 6
        8 attention gpu0 1 2t after 7
        9 gate gpu0 1 2t after 8
        10 wait host after 9
        11 load gpu0.h2d 1/2 stream slot2 400B after 4 6 9   # 1/3 is not issued before
        12 wait host after 11
        13 expert gpu0 1/2 stream slot2 2t after 9 11
        14 expert gpu0 1/3 hit slot0 2t after 9
        15 combine gpu0 1 2t after 13 14
        16 head gpu0 1 1t after 15
    """)


def test_the_time_is_worked_out_by_hand() -> None:
    """0/0 runs beside the copy of 0/1, 1/3 after that of 1/2. Decode takes as long, with 1/1 in place of 1/2."""
    first, second = 1 + 1 + 10 + 1 + 1, 1 + 1 + 10 + 1 + 1 + 1
    assert timed(plan_tiny("moe-ondemand", TRACE, 2)).makespan_s == 2 * (first + second + 1)


def test_a_streamed_expert_is_never_kept_and_the_cpu_computes_nothing() -> None:
    schedule = plan_tiny("moe-ondemand", TRACE, 2)
    assert loaded(schedule) == [(0, 1), (1, 2), (0, 1), (1, 1)]
    assert ops_where(schedule, lane=schedule.lane_index["cpu"]) == []
    assert ops_where(schedule, kind=Kind.UNLOAD) == []


def test_it_differs_from_on_demand_by_the_order_alone() -> None:
    """Where misses come after hits anyway, the two write the same ops."""
    hits_first = trace_of([[0, 1]], n_experts=4)
    model = tiny_model(n_layers=1)
    ours = plan_tiny("moe-ondemand", hits_first, 1, model=model)
    assert listing(ours) == listing(plan_tiny("on-demand", hits_first, 1, model=model, blocking=True))


def test_its_placement_is_by_the_decode_steps_of_calibration() -> None:
    calibration = trace_of(*[[[2, 3], [2, 3]]] * 3, *[[[1, 0], [1, 0]]] * 2, prompts=[3])
    schedule = plan(
        make_strategy("moe-ondemand"), tiny_model(), BF16, TRACE, cached=3,
        popularity=calibration.popularity(), calibration=calibration,
    )  # fmt: skip
    assert set(schedule.start_slots) == {(0, 0), (0, 1), (1, 0)}
