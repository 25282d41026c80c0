from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import InputError, ScheduleError
from sim.metrics import summarise
from sim.parts.scored import Score
from sim.plan import plan
from sim.program import Program
from sim.schedule import Kind, Reason, Schedule
from sim.strategies.moe_infinity import EPSILON, MoEInfinity
from sim.strategies.registry import make_strategy
from sim.strategy import LayerPass
from sim.timeline import Timeline
from sim.trace import RoutingTrace
from tests.conservation import computed, differing, routed
from tests.hand_work import loaded, ops_where, timed
from tests.listing import lines, listing, trace_of
from tests.machines import BF16, EXPERT_BYTES, link, stack, tiny_costs, tiny_machine, tiny_model
from tests.occupancy import slot_faults
from tests.traces import random_trace

MODEL = tiny_model(n_layers=3, top_k=1)

Token = Sequence[Sequence[int]]  # what each block routes it to


def requests(*outputs: Sequence[Token]) -> RoutingTrace:
    """Earlier requests without prompts."""
    return trace_of(
        *(token for output in outputs for token in output),
        prompts=[0] * len(outputs),
        lengths=[len(output) for output in outputs],
    )


# One earlier request: block 1 used expert 1 for three tokens and 0 for one, block 2 expert 2 for all.
ONE = requests([[[0], [1], [2]]] * 3 + [[[0], [0], [2]]])
# Two: the first is what a token that begins with expert 0 resembles, the second what it does if expert 2 follows.
TWO = requests([[[0], [1], [1]]] * 3, [[[0], [2], [2]], [[3], [2], [2]]])


def planned(*tokens: Token, cached: int, like: RoutingTrace | None = ONE, **knobs: Any) -> Timeline:
    """Decoding these tokens; on the GPU at first are expert 0 of all blocks and, with four slots, 0/1."""
    knobs = {"match_us": 0.0} | knobs
    strategy, trace = make_strategy("moe-infinity", **knobs), trace_of(*tokens)
    return timed(plan(strategy, MODEL, BF16, trace, cached=cached, calibration=like, costs=tiny_costs(MODEL)))


def order_on_the_link(timeline: Timeline) -> list[tuple[int, int]]:
    """The experts whose copies ran, in the order of their starts."""
    schedule, times = timeline.schedule, timeline.times
    loads = [op for op in ops_where(schedule, kind=Kind.LOAD) if not times.cancelled[op]]
    loads.sort(key=lambda op: times.start_s[op])
    return [(int(schedule.ops.layer[op]), int(schedule.ops.expert[op])) for op in loads]


def loads_for(schedule: Schedule, reason: Reason) -> list[tuple[int, int]]:
    ops = ops_where(schedule, kind=Kind.LOAD, reason=reason)
    return list(zip(schedule.ops.layer[ops].tolist(), schedule.ops.expert[ops].tolist(), strict=True))


def test_all_later_layers_are_prefetched_in_the_order_of_likelihood_and_nearness() -> None:
    """At block 0: 1/1 has .75 × 2/3, 2/2 has 1 × 1/3; 1/0 with .25 × 2/3 is there. What is not likely at all leaves."""
    timeline = planned([[0], [1], [2]], cached=3, match_us=21.0)
    assert listing(timeline.schedule) == lines("""
        0 attention gpu0 0 1t
        1 gate gpu0 0 1t after 0
        2 wait host after 1
        3 software worker bookkeeping after 1              # the query
        4 load gpu0.h2d 1/1 prefetch slot1 400B p1 after 3 # for 2/0
        5 load gpu0.h2d 2/2 prefetch slot0 400B p1 after 3 # for 0/1
        6 expert gpu0 0/0 hit slot3 1t after 1
        7 combine gpu0 0 1t after 6
        8 attention gpu0 1 1t after 7
        9 gate gpu0 1 1t after 8
        10 wait host after 9
        11 expert gpu0 1/1 prefetched slot1 1t after 4 9
        12 combine gpu0 1 1t after 11
        13 attention gpu0 2 1t after 12
        14 gate gpu0 2 1t after 13
        15 wait host after 14
        16 expert gpu0 2/2 prefetched slot0 1t after 5 14
        17 combine gpu0 2 1t after 16
        18 head gpu0 2 1t after 17
        19 wait host after 18
    """)
    assert timeline.makespan_s == pytest.approx(2 + 2 * 10 + 3 + 21e-6), (
        "the second copy ends last, 3 ops before the end"
    )
    assert summarise(timeline).prefetch_used == 1.0


def test_a_demand_load_overtakes_queued_prefetches() -> None:
    """When block 1 turns out to need 1/3, at 6, 1/1 is on its way until 12 and 2/2 waits: 1/3 comes before it."""
    timeline = planned([[0], [3], [2]], cached=3)
    schedule, times = timeline.schedule, timeline.times
    assert loaded(schedule) == [(1, 1), (2, 2), (1, 3)], "as issued"
    assert order_on_the_link(timeline) == [(1, 1), (1, 3), (2, 2)]
    demand = ops_where(schedule, kind=Kind.LOAD, reason=Reason.DEMAND)
    assert (times.dispatched_s[demand].tolist(), times.start_s[demand].tolist()) == ([6], [12]), (
        "after what is under way"
    )
    assert ops_where(schedule, kind=Kind.CANCEL) == []
    assert timeline.makespan_s == 35.0


def test_prefetches_that_are_not_wanted_any_more_are_withdrawn() -> None:
    """Expert 2 in block 1 makes the second request the likelier: 2/1 never comes, and 1/0 keeps its slot until then."""
    timeline = planned([[0], [2], [2]], cached=3, like=TWO)
    assert listing(timeline.schedule)[3:14] == lines("""
        3 load gpu0.h2d 1/1 prefetch slot1 400B p1
        4 load gpu0.h2d 2/1 prefetch slot2 400B p1         # for 1/0
        5 expert gpu0 0/0 hit slot3 1t after 1
        6 combine gpu0 0 1t after 5
        7 attention gpu0 1 1t after 6
        8 gate gpu0 1 1t after 7
        9 wait host after 8
        10 cancel host bookkeeping after 4
        11 load gpu0.h2d 1/2 demand slot2 400B             # for 1/0, which is worth least now
        12 load gpu0.h2d 2/2 prefetch slot1 400B p1 after 3 # for 1/1, which has just begun to come
        13 expert gpu0 1/2 demand slot2 1t after 8 11
    """)
    assert order_on_the_link(timeline) == [(1, 1), (1, 2), (2, 2)]
    assert timeline.times.cancelled.tolist().index(True) == 4
    summary = summarise(timeline)
    assert (summary.bytes_loaded, summary.prefetch_used) == (3 * EXPERT_BYTES, 0.5)


def test_an_expert_that_is_to_make_room_stays_until_the_copy_over_it_begins() -> None:
    """2/2 waits for the slot of 1/0 when block 1 needs that: it hits, and 2/2 may not have the place of 1/1 instead."""
    timeline = planned([[0], [0], [2]], cached=2)
    assert listing(timeline.schedule)[3:18] == lines("""
        3 load gpu0.h2d 1/1 prefetch slot0 400B p1
        4 load gpu0.h2d 2/2 prefetch slot1 400B p1         # for 1/0
        5 expert gpu0 0/0 hit slot2 1t after 1
        6 combine gpu0 0 1t after 5
        7 attention gpu0 1 1t after 6
        8 gate gpu0 1 1t after 7
        9 wait host after 8
        10 cancel host bookkeeping after 4
        11 expert gpu0 1/0 hit slot1 1t after 8
        12 combine gpu0 1 1t after 11
        13 attention gpu0 2 1t after 12
        14 gate gpu0 2 1t after 13
        15 wait host after 14
        16 load gpu0.h2d 2/2 demand slot1 400B after 11
        17 expert gpu0 2/2 demand slot1 1t after 14 16
    """)


def test_what_is_needed_while_its_prefetch_waits_is_loaded_on_demand() -> None:
    """Block 1 needs 1/0, whose place 2/2 was to have; block 2 needs 2/2, which waits again behind the first copy."""
    model = tiny_model(n_layers=4, top_k=1)
    like, trace = trace_of(*[[[0], [1], [2], [0]]] * 2), trace_of([[0], [0], [2], [0]])
    strategy = MoEInfinity(match_us=0.0)
    timeline = timed(plan(strategy, model, BF16, trace, cached=4, calibration=like, costs=tiny_costs(model)))
    assert loads_for(timeline.schedule, Reason.PREFETCH) == [(1, 1), (2, 2), (2, 2)]
    assert loads_for(timeline.schedule, Reason.DEMAND) == [(2, 2)]
    assert order_on_the_link(timeline) == [(1, 1), (2, 2)]


@pytest.mark.parametrize("queue", [1, 2, 3])
def test_no_more_prefetches_wait_than_the_queue_holds(queue: int) -> None:
    """Experts 0 and 1 of all blocks are there; 1/2 and 1/3 are wanted most, then 2/2 and 2/3."""
    like = requests([[[0], [1], [1]], [[0], [2], [2]], [[0], [3], [3]]])
    schedule = planned([[0], [0], [0]], cached=5, like=like, queue=queue).schedule
    before_block_1 = ops_where(schedule, kind=Kind.EXPERT)[0]
    prefetches = [op for op in ops_where(schedule, reason=Reason.PREFETCH) if op < before_block_1]
    assert schedule.ops.expert[prefetches].tolist() == [2, 3, 2][:queue]


def test_nothing_is_prefetched_when_everything_is_cached() -> None:
    timeline = planned([[0], [1], [2]], [[3], [2], [1]], cached=12)
    assert loaded(timeline.schedule) == []
    assert timeline.schedule.clock_free


class Watched(MoEInfinity):
    """Remembers the scores that it had at each layer."""

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        done = super().experts(p, now, ready)
        self.scores = [*getattr(self, "scores", []), (self.worth(), self.priority(now.moe))]
        return done


def watched(like: RoutingTrace) -> list[tuple[Score, Score]]:
    strategy = Watched()
    plan(strategy, MODEL, BF16, trace_of([[0], [0], [0]]), cached=2, calibration=like, costs=tiny_costs(MODEL))
    return strategy.scores


def test_the_worth_of_keeping_an_expert_is_algorithm_1s() -> None:
    """Tokens by expert: 3 and 1 in block 0, 3 and 1 in block 1, 4 in block 2; block l counts (3 - l) / 3."""
    like = requests([[[0], [2], [1]]] * 2 + [[[0], [3], [1]], [[1], [2], [1]]])
    expected = [[3 / 4, 1 / 4, 0, 0], [0, 0, 2 / 3 * 3 / 4, 2 / 3 * 1 / 4], [0, 1 / 3, 0, 0]]
    floor = EPSILON * np.array([[1], [2 / 3], [1 / 3]])
    for worth, _ in watched(like):
        np.testing.assert_allclose(worth, np.array(expected) + floor, rtol=1e-12)


def test_the_priority_of_a_prefetch_is_the_likelihood_times_the_nearness_of_the_layer() -> None:
    first, second, last = (priority for _, priority in watched(ONE))
    np.testing.assert_allclose(first, np.array([[0, 0, 0, 0], [2 / 3 * 1 / 4, 2 / 3 * 3 / 4, 0, 0], [0, 0, 1 / 3, 0]]))
    np.testing.assert_allclose(second, np.array([[0.0] * 4, [0.0] * 4, [0, 0, 2 / 3, 0]]))
    assert not last.any(), "nothing comes after it"


def test_demand_takes_the_place_of_what_is_worth_least_whatever_its_layer() -> None:
    """Worth 0/0 1, 1/0 1/6 and 2/0 next to nothing: 2/0 goes first, then 1/3, which has just come and is not likely."""
    strategy = MoEInfinity(match_us=0.0, queue=1)
    like = requests([[[0], [0], [1]]])
    schedule = plan(
        strategy, MODEL, BF16, trace_of([[0], [3], [3]]), cached=2, calibration=like, costs=tiny_costs(MODEL)
    )
    slot = dict(zip(schedule.start_slots, range(3), strict=True))
    demand = ops_where(schedule, kind=Kind.LOAD, reason=Reason.DEMAND)
    assert slot == {(2, 0): 0, (1, 0): 1, (0, 0): 2}
    assert loads_for(schedule, Reason.PREFETCH) == [(2, 1)]
    assert schedule.ops.slot[ops_where(schedule, reason=Reason.PREFETCH)].tolist() == [0]
    assert schedule.ops.slot[demand].tolist() == [0, 0], "2/1 has come in vain: it was worth less than 1/0"


def test_the_present_request_is_remembered_for_the_next() -> None:
    """Without calibration nothing is prefetched in the first request; the second is like it."""
    trace = requests([[[0], [1], [2]], [[0], [1], [2]]], [[[0], [1], [2]]])
    strategy = make_strategy("moe-infinity", match_us=0.0)
    schedule = plan(strategy, MODEL, BF16, trace, cached=1, costs=tiny_costs(MODEL))
    prefetches = ops_where(schedule, kind=Kind.LOAD, reason=Reason.PREFETCH)
    assert prefetches
    assert schedule.ops.step[prefetches].min() == 2


def test_the_released_code_evicts_the_fewest_visits_and_prefetches_nothing() -> None:
    """Visits tie at first, and the lower expert leaves; 0/0 is back for its second, 0/1 has had one; and so on."""
    tokens = [[[0], [3], [2]], [[1], [3], [2]], [[0], [1], [2]]]
    timeline = planned(*tokens, cached=2, variant="code")
    schedule = timeline.schedule
    loads = ops_where(schedule, kind=Kind.LOAD)
    assert loaded(schedule) == [(1, 3), (2, 2), (0, 1), (0, 0), (1, 1)]
    assert set(schedule.ops.reason[loads].tolist()) == {Reason.DEMAND}
    assert dict(zip(schedule.start_slots, range(3), strict=True)) == {(2, 0): 0, (1, 0): 1, (0, 0): 2}
    assert schedule.ops.slot[loads].tolist() == [
        1,  # 1/3 for 1/0: neither that nor 2/0 was visited, both are expert 0, and block 1 comes first
        0,  # 2/2 for 2/0, still not visited
        2,  # 0/1 for 0/0: one visit each
        2,  # 0/0 for 0/1: one visit against two of 1/3 and 2/2
        2,  # 1/1 for 0/0: two each
    ]
    assert schedule.clock_free
    assert {lane.discipline for lane in schedule.lanes} == {"fifo"}


@pytest.mark.parametrize(("variant", "order"), [("paper", [2, 1]), ("code", [1, 2])])
def test_the_paper_runs_hits_first_and_the_released_code_its_experts_in_order(variant: str, order: list[int]) -> None:
    popularity = np.array([[0, 0, 9, 0], [0, 0, 9, 0]])
    strategy, trace = make_strategy("moe-infinity", variant=variant), trace_of([[2, 1], [0, 3]])
    schedule = plan(strategy, tiny_model(), BF16, trace, cached=1, popularity=popularity, costs=tiny_costs())
    assert schedule.ops.expert[ops_where(schedule, kind=Kind.EXPERT, layer=0)].tolist() == order


def test_more_experts_than_slots_take_the_places_of_those_that_have_been_issued() -> None:
    """Four experts of one layer in two slots: all run, each after the reader of the slot that it takes."""
    trace = trace_of(*[[[e, (e + 1) % 4], [e, (e + 1) % 4]] for e in range(4)], prompts=[4])
    for variant in ("paper", "code"):
        schedule = plan(
            make_strategy("moe-infinity", variant=variant), tiny_model(), BF16, trace, cached=1, costs=tiny_costs()
        )
        assert not differing(routed(trace, tiny_model(), 1), computed(schedule))
        assert schedule.n_slots == 2


@pytest.mark.parametrize("knobs", [{}, {"eam": "request"}, {"variant": "code"}])
def test_it_follows_the_router(knobs: dict[str, Any]) -> None:
    tokens = [[[t % 4], [(t * t) % 4], [(t * 3 + t // 4) % 4]] for t in range(12)]
    schedule = planned(*tokens, cached=4, **knobs).schedule
    assert not MoEInfinity.lossy
    assert not differing(routed(trace_of(*tokens), MODEL, 1), computed(schedule))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 999), st.integers(2, 6), st.integers(2, 8), st.integers(0, 30), st.integers(1, 8),
    st.sampled_from([0.25, 0.5, 1.0, 2.0, 10.0]), st.sampled_from([0.0, 0.125]),
)  # fmt: skip
def test_weights_are_there_when_they_are_read_however_often_prefetches_are_withdrawn(
    seed: int, n_layers: int, n_experts: int, cached: int, queue: int, load_s: float, dispatch_s: float
) -> None:
    """The final simulation agrees with every answer of the clock: else some expert would read another's slot."""
    model = tiny_model(n_layers=n_layers, n_experts=n_experts)
    trace = random_trace([(2, 3), (0, 4), (3, 2), (1, 5)], n_layers, n_experts, model.top_k, seed)
    machine = tiny_machine(
        links=[
            link(direction, curve={"x": [40, 400], "seconds": [load_s / 10, load_s]}) for direction in ("h2d", "d2h")
        ],
        stacks={"plain": stack(dispatch_s={"default": dispatch_s})},
    )
    strategy = MoEInfinity(queue=queue, match_us=0.0)
    cached = min(cached, model.n_slots_total)
    timeline = timed(plan(strategy, model, BF16, trace, cached=cached, costs=tiny_costs(model, machine)), machine)
    assert slot_faults(timeline) == []
    assert not differing(routed(trace, model, 1), computed(timeline.schedule))


def test_prefetching_asks_the_clock_and_so_needs_a_machine() -> None:
    with pytest.raises(ScheduleError, match="asks the clock"):
        plan(MoEInfinity(), MODEL, BF16, trace_of([[0], [3], [2]]), cached=3, calibration=ONE)
    plan(MoEInfinity(variant="code"), MODEL, BF16, trace_of([[0], [3], [2]]), cached=3, calibration=ONE)


@pytest.mark.parametrize(("knob", "value"), [("eamc", 0), ("queue", 0), ("match_us", -1.0), ("eam", "token")])
def test_knobs_are_checked(knob: str, value: object) -> None:
    with pytest.raises(InputError, match=f"strategies.{knob}"):
        make_strategy("moe-infinity", **{knob: value})
