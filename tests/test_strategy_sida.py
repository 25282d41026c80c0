from __future__ import annotations

import numpy as np
import pytest

from sim.errors import InputError
from sim.metrics import summarise
from sim.model import MoEModel
from sim.plan import plan
from sim.predict import PerfectPredictor, Predictor, RecallPredictor
from sim.residency import residency
from sim.schedule import Kind, Reason, Schedule
from sim.strategies.registry import make_strategy
from sim.trace import RoutingTrace
from tests.hand_work import Guess, loaded, ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import BF16, busy_machine, tiny_costs, tiny_model
from tests.traces import random_trace

ONE_SECOND = 1e6  # of hash building a token, in µs


def sentences(*routing: list[list[int]]) -> RoutingTrace:
    """Requests of one token each that generate nothing."""
    return trace_of(*routing, prompts=[1] * len(routing), lengths=[1] * len(routing))


TWO = sentences([[0, 1], [2, 3]], [[1, 2], [3, 0]])


def planned(trace: RoutingTrace, cached: int = 8, *, predictor: Predictor | None = None, **knobs: object) -> Schedule:
    return plan_tiny("sida", trace, cached, predictor=predictor or PerfectPredictor(), hash_us=ONE_SECOND, **knobs)


def test_the_next_batch_is_hashed_and_loaded_layer_by_layer_while_this_one_runs() -> None:
    """The second batch shares 0/1 and 1/3 with the first: 0/0 and 1/2 go back for 0/2 and 1/0."""
    assert listing(planned(TWO)) == lines("""
        0 software worker bookkeeping                         # the first table
        1 wait host after 0
        2 software worker bookkeeping                         # the second, meanwhile
        3 load gpu0.h2d 0/0 prefetch slot0 400B p1 after 0
        4 load gpu0.h2d 0/1 prefetch slot1 400B p1 after 0
        5 load gpu0.h2d 1/2 prefetch slot2 400B p1 after 0
        6 load gpu0.h2d 1/3 prefetch slot3 400B p1 after 0
        7 attention gpu0 0 1t
        8 expert gpu0 0/0 prefetched slot0 1t after 3 7        # no gate
        9 expert gpu0 0/1 prefetched slot1 1t after 4 7
        10 combine gpu0 0 1t after 8 9
        11 unload gpu0.d2h 0/0 swap slot0 400B after 2 3 10
        12 load gpu0.h2d 0/2 prefetch slot4 400B p1 after 2 10
        13 attention gpu0 1 1t after 10
        14 expert gpu0 1/2 prefetched slot2 1t after 5 13
        15 expert gpu0 1/3 prefetched slot3 1t after 6 13
        16 combine gpu0 1 1t after 14 15
        17 unload gpu0.d2h 1/2 swap slot2 400B after 2 5 16
        18 load gpu0.h2d 1/0 prefetch slot5 400B p1 after 2 16
        19 head gpu0 1 1t after 16
        20 wait host after 19
        21 attention gpu0 0 1t                                # the second batch waits for no table
        22 expert gpu0 0/1 hit slot1 1t after 4 21
        23 expert gpu0 0/2 prefetched slot4 1t after 12 21
        24 combine gpu0 0 1t after 22 23
        25 attention gpu0 1 1t after 24
        26 expert gpu0 1/0 prefetched slot5 1t after 18 25
        27 expert gpu0 1/3 hit slot3 1t after 6 25
        28 combine gpu0 1 1t after 26 27
        29 head gpu0 1 1t after 28
        30 wait host after 29
    """)


def test_the_time_is_worked_out_by_hand() -> None:
    """A table takes 1 s, a load 10 s, a kernel 1 s."""
    timeline = timed(planned(TWO))
    first = 1 + 4 * 10 + 1 + 1 + 1  # the table, four loads, and when the last is there: its expert, combine, head
    second = 41 + 2 * 10 + 2 + 1 + 1  # 0/2 and 1/0 follow on the link; then both experts of block 1, combine, head
    assert timeline.step_end_s.tolist() == [first, second]


def test_equal_batches_cost_nothing_but_their_kernels_after_the_first() -> None:
    """Equal sentences: nothing moves after the first, and attention, two experts and combine take 4 s a block."""
    timeline = timed(planned(sentences(*[[[0, 1], [2, 3]]] * 3)))
    assert np.diff(timeline.step_end_s).tolist() == [2 * 4 + 1] * 2
    assert len(loaded(timeline.schedule)) == 4


def test_only_the_first_table_is_waited_for() -> None:
    schedule = planned(sentences(*[[[0, 1], [2, 3]], [[1, 2], [3, 0]]] * 4))
    hashing = ops_where(schedule, kind=Kind.SOFTWARE, lane=schedule.lane_index["worker"])
    waited = {int(dep) for op in ops_where(schedule, kind=Kind.WAIT) for dep in schedule.ops.dependencies(op)}
    assert len(hashing) == 8
    assert waited & set(hashing) == {hashing[0]}


def test_a_table_takes_longer_the_longer_the_longest_sentence_of_its_batch() -> None:
    tokens = [[[0, 1], [2, 3]]] * 6
    trace = trace_of(*tokens, prompts=[1, 3, 2], lengths=[1, 3, 2])
    schedule = planned(trace, batch=2)
    assert schedule.ops.stated_s[ops_where(schedule, kind=Kind.SOFTWARE)].tolist() == [3.0, 2.0]
    in_steps = planned(trace, variant="code", step=2)
    hashing = ops_where(in_steps, kind=Kind.SOFTWARE, lane=in_steps.lane_index["worker"])
    assert in_steps.ops.stated_s[hashing].tolist() == [3.0, 2.0]


def test_slow_hashing_holds_up_the_next_loads_and_not_this_batch() -> None:
    schedule = plan_tiny("sida", TWO, 8, predictor=PerfectPredictor(), hash_us=100 * ONE_SECOND)
    timeline = timed(schedule)
    assert timeline.step_end_s.tolist() == [100 + 4 * 10 + 3, 200 + 2 * 10 + 4]


def test_a_layers_next_loads_wait_until_it_has_finished_the_present_batch() -> None:
    timeline = timed(planned(sentences([[0, 1], [0, 1]], [[2, 3], [2, 3]])))
    schedule, times = timeline.schedule, timeline.times
    for layer in (0, 1):
        combined = ops_where(schedule, kind=Kind.COMBINE, layer=layer, step=0)[0]
        for load in ops_where(schedule, kind=Kind.LOAD, layer=layer):
            if schedule.ops.expert[load] >= 2:
                assert combined in schedule.ops.dependencies(load)
                assert times.start_s[load] >= times.end_s[combined]


def test_no_router_runs_and_nothing_is_computed_on_the_cpu() -> None:
    for variant in ("paper", "code"):
        schedule = planned(random_trace([(3, 0)] * 4, n_experts=4), variant=variant)
        assert ops_where(schedule, kind=Kind.GATE) == []
        assert ops_where(schedule, lane=schedule.lane_index["cpu"]) == []


def test_all_experts_of_the_union_over_a_batch_are_loaded_and_no_other() -> None:
    trace = sentences([[0, 1], [2, 3]], [[1, 2], [3, 0]])
    assert loaded(planned(trace, batch=2)) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (1, 3)]


FOUR = sentences([[0, 1], [0, 1]], [[0, 2], [0, 2]], [[0, 3], [0, 3]], [[0, 1], [0, 1]])


def test_past_the_budget_the_first_in_is_the_first_out() -> None:
    """Room for three of the same four experts. What the present block, or a later one for its load, needs may stay."""
    schedule = planned(sentences(*[[[0, 1], [0, 1]]] * 3), 3, evict="drop")
    assert loaded(schedule) == [
        (0, 0), (0, 1), (1, 0), (1, 1),  # 0/0 leaves for 1/1: oldest first, there are 0/1, 1/0, 1/1
        (0, 0), (1, 0),                  # 1/0 leaves for 0/0, then 0/1 for 1/0: 1/1, 0/0, 1/0
        (0, 1), (1, 1),                  # 1/1 leaves for 0/1, then 0/0 for 1/1; the least recently used was 1/0
    ]  # fmt: skip


def test_the_budget_is_kept_and_one_more_buffer_serves_the_swaps() -> None:
    for cached in range(5):
        for evict in ("drop", "swap"):
            assert residency(timed(planned(FOUR, cached, evict=evict))).peak <= cached + 1


def test_loads_for_the_next_batch_evict_nothing() -> None:
    """Room for two, and each block needs two: block 1 displaces block 0's, and the next batch's wait for that."""
    schedule = planned(sentences([[0, 1], [0, 1]], [[2, 3], [2, 3]]), 2)
    ahead = [op for op in ops_where(schedule, kind=Kind.LOAD, step=0) if schedule.ops.expert[op] >= 2]
    combined = ops_where(schedule, kind=Kind.COMBINE, layer=1, step=0)[0]
    assert ahead
    assert min(ahead) > combined


def test_weights_sent_back_are_copied_or_forgotten() -> None:
    for evict, copies in (("swap", 2), ("drop", 0)):
        assert len(ops_where(planned(TWO, evict=evict), kind=Kind.UNLOAD)) == copies


def test_a_decoded_token_has_its_table_built_when_it_is_known_and_waited_for() -> None:
    schedule = planned(trace_of([[0, 1], [2, 3]], [[1, 2], [3, 0]], prompts=[1]))
    first, second = ops_where(schedule, kind=Kind.SOFTWARE)
    head = ops_where(schedule, kind=Kind.HEAD, step=0)[0]
    assert schedule.ops.dependencies(second).tolist() == [head]
    waits = [schedule.ops.dependencies(op).tolist() for op in ops_where(schedule, kind=Kind.WAIT)]
    assert [first] in waits
    assert [second] in waits


def test_what_the_table_says_is_executed_whatever_the_router_would_have_said() -> None:
    schedule = planned(TWO, predictor=Guess(3, 1))
    assert schedule.ops.expert[ops_where(schedule, kind=Kind.EXPERT)].tolist() == [1, 3] * 4
    lost = summarise(timed(schedule)).fidelity
    assert lost is not None
    assert lost.changed == 4 / 8  # of eight choices 1, 3, 1 and 3 were among the guessed


def test_of_more_ranks_all_run_and_a_choice_among_them_is_followed() -> None:
    trace = random_trace([(40, 0)] * 4, n_experts=8, top_k=1)
    model = tiny_model(n_experts=8, top_k=1)
    one, three = (switch(trace, model, 0.8, top) for top in (1, 3))
    assert one.meta["fidelity"] == three.meta["fidelity"]  # the recall is that of the table
    tokens = [schedule.ops.tokens[ops_where(schedule, kind=Kind.EXPERT)].sum() for schedule in (one, three)]
    assert tokens[1] == 3 * tokens[0]


def switch(trace: RoutingTrace, model: MoEModel, recall: float, top: int = 0, **knobs: object) -> Schedule:
    predictor = RecallPredictor(model.n_moe_layers, model.n_experts, recall=recall, seed=3)
    strategy = make_strategy("sida", top=top, **knobs)
    return plan(strategy, model, BF16, trace, cached=model.n_slots_total, predictor=predictor, costs=tiny_costs(model))


@pytest.mark.parametrize("variant", ["paper", "code"])
@pytest.mark.parametrize("recall", [1.0, 0.988, 0.9, 0.5])
def test_the_changed_share_is_what_the_table_misses_up_to_sampling_error(recall: float, variant: str) -> None:
    """5,000 tokens in two layers: within three standard deviations of 1 − hit rate."""
    model = tiny_model(n_experts=16, top_k=1, encoder_layers=2)
    trace = random_trace([(100, 0)] * 50, n_experts=16, top_k=1)
    lost = summarise(timed(switch(trace, model, recall, variant=variant))).fidelity
    assert lost is not None
    deviation = (recall * (1 - recall) / 10_000) ** 0.5
    assert lost.changed == pytest.approx(1 - recall, abs=3 * deviation)


THREE = sentences([[0, 1], [2, 3]], [[1, 2], [3, 0]], [[1, 3], [3, 0]])


def test_the_code_moves_the_union_of_a_step_between_steps_and_waits_for_every_copy() -> None:
    """Steps of two samples: 0/0, 0/1, 0/2 and 1/0, 1/2, 1/3; the third needs 0/1, 0/3 and 1/0, 1/3."""
    schedule = planned(THREE, variant="code", step=2)
    moves = [op for kind in (Kind.LOAD, Kind.UNLOAD) for op in ops_where(schedule, kind=kind)]
    assert [line for op, line in enumerate(listing(schedule)) if op in moves or op - 1 in moves] == lines("""
        3 load gpu0.h2d 0/0 prefetch slot0 400B
        4 wait host after 3
        5 load gpu0.h2d 0/1 prefetch slot1 400B
        6 wait host after 5
        7 load gpu0.h2d 0/2 prefetch slot2 400B
        8 wait host after 7
        9 load gpu0.h2d 1/0 prefetch slot3 400B
        10 wait host after 9
        11 load gpu0.h2d 1/2 prefetch slot4 400B
        12 wait host after 11
        13 load gpu0.h2d 1/3 prefetch slot5 400B
        14 wait host after 13
        48 unload gpu0.d2h 0/0 swap slot0 400B after 3
        49 wait host after 48
        50 unload gpu0.d2h 0/2 swap slot2 400B after 7
        51 wait host after 50
        52 load gpu0.h2d 0/3 prefetch slot6 400B
        53 wait host after 52
        54 unload gpu0.d2h 1/2 swap slot4 400B after 11
        55 wait host after 54
    """)


def test_the_code_runs_a_loop_that_looks_at_every_expert_in_every_rank() -> None:
    """Tests of all four experts in two ranks, two synchronisations each, less those that the experts' waits are."""
    schedule = plan_tiny("sida", TWO, 8, predictor=PerfectPredictor(), machine=busy_machine(), variant="code")
    host = ops_where(schedule, kind=Kind.SOFTWARE, lane=schedule.lane_index["host"])
    assert schedule.ops.stated_s[host].tolist() == [(2 * 4 * 2 - 2) * 0.0625] * 4
    experts = ops_where(schedule, kind=Kind.EXPERT)
    waits = {int(schedule.ops.dependencies(op)[0]) for op in ops_where(schedule, kind=Kind.WAIT)}
    assert set(experts) <= waits


def test_the_code_builds_the_tables_of_the_next_step_while_this_one_runs() -> None:
    schedule = planned(sentences(*[[[0, 1], [2, 3]]] * 5), variant="code", step=2)
    hashing = ops_where(schedule, kind=Kind.SOFTWARE, lane=schedule.lane_index["worker"])
    assert schedule.ops.step[hashing].tolist() == [0, 0, 2]


def test_the_code_has_no_budget() -> None:
    assert make_strategy("sida", variant="code").slots(tiny_model()) == 8
    assert make_strategy("sida").slots(tiny_model()) is None


def test_uses_of_experts_that_a_table_brought_are_told_apart_from_hits() -> None:
    schedule = planned(TWO)
    reasons = schedule.ops.reason[ops_where(schedule, kind=Kind.EXPERT)].tolist()
    assert [Reason(reason).name for reason in reasons] == [
        *["PREFETCHED"] * 4, "HIT", "PREFETCHED", "PREFETCHED", "HIT"
    ]  # fmt: skip


def test_it_needs_a_predictor() -> None:
    with pytest.raises(InputError, match="sida needs a predictor"):
        plan_tiny("sida", TWO, 8)


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_it_forgets_one_run_before_the_next(variant: str) -> None:
    strategy = make_strategy("sida", variant=variant)
    first, second = (plan_tiny(strategy, FOUR, 8, predictor=PerfectPredictor()) for _ in range(2))
    assert listing(first) == listing(second)


def test_a_token_cannot_have_more_experts_than_there_are() -> None:
    with pytest.raises(InputError, match=r"strategies.top: tiny has only 4 experts a block \(got 5\); give at most 4"):
        plan_tiny("sida", trace_of([[3, 2], [0, 1]]), 4, predictor=PerfectPredictor(), top=5)
