from __future__ import annotations

import pytest

from sim.errors import InputError
from sim.plan import plan
from sim.schedule import Kind
from sim.strategies.registry import make_strategy
from tests.hand_work import ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import BF16, busy_machine, tiny_machine, tiny_model

# Two tokens: three of block 0's four experts have tokens, two of block 1's.
PROMPT = trace_of([[0, 2], [3, 1]], [[0, 3], [3, 1]], prompts=[2])
SYNC_S, DISPATCH_S = 0.0625, 0.125  # of the busy machine


def test_each_expert_with_tokens_is_waited_for_and_the_others_are_called_in_vain() -> None:
    assert listing(plan_tiny("standard", PROMPT, 8)) == lines("""
        0 attention gpu0 0 2t
        1 gate gpu0 0 2t after 0
        2 wait host after 1
        3 expert gpu0 0/0 hit slot0 2t after 1
        4 wait host after 3
        5 expert gpu0 0/2 hit slot2 1t after 1
        6 wait host after 5
        7 expert gpu0 0/3 hit slot3 1t after 1
        8 wait host after 7
        9 software host bookkeeping             # the launches of 0/1, and all other round trips
        10 combine gpu0 0 2t after 3 5 7
        11 attention gpu0 1 2t after 10
        12 gate gpu0 1 2t after 11
        13 wait host after 12
        14 expert gpu0 1/1 hit slot5 2t after 12
        15 wait host after 14
        16 expert gpu0 1/3 hit slot7 2t after 12
        17 wait host after 16
        18 software host bookkeeping            # of 1/0 and 1/2
        19 combine gpu0 1 2t after 14 16
        20 head gpu0 1 1t after 19
        21 wait host after 20
    """)


def test_every_expert_of_a_layer_is_called_whether_it_has_tokens_or_not() -> None:
    """Two round trips for each of four experts, of which the waits above are one each; launches of the empty ones."""
    schedule = plan_tiny("standard", PROMPT, 8, machine=busy_machine())
    calls = ops_where(schedule, kind=Kind.SOFTWARE)
    assert schedule.ops.stated_s[calls].tolist() == [
        (2 * 4 - 3) * SYNC_S + 1 * DISPATCH_S,
        (2 * 4 - 2) * SYNC_S + 2 * DISPATCH_S,
    ]


def test_so_that_its_time_grows_with_the_number_of_experts() -> None:
    times = []
    for n_experts in (4, 8, 16):
        trace = trace_of([[0, 2], [3, 1]], prompts=[1], n_experts=n_experts)
        model = tiny_model(n_experts=n_experts)
        schedule = plan_tiny("standard", trace, 2 * n_experts, model=model, machine=busy_machine())
        times.append(timed(schedule, busy_machine()).makespan_s)
    assert times[1] - times[0] == 2 * 4 * (2 * SYNC_S + DISPATCH_S)
    assert times[2] - times[1] == 2 * (times[1] - times[0])


def test_on_a_host_that_costs_nothing_it_is_all_resident() -> None:
    standard, bracket = (timed(plan_tiny(name, PROMPT, 8)).makespan_s for name in ("standard", "all-resident"))
    assert tiny_machine().stack(None).sync_s == 0
    assert standard == bracket


def test_it_has_to_fit_the_gpu() -> None:
    assert not make_strategy("standard").bracket
    assert make_strategy("standard").slots(tiny_model()) == 8


def test_without_a_machine_nobody_knows_what_a_call_takes() -> None:
    with pytest.raises(InputError, match="machine"):
        plan(make_strategy("standard"), tiny_model(), BF16, PROMPT, cached=8)
