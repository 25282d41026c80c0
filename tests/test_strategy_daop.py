from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from sim.errors import InputError
from sim.metrics import summarise
from sim.plan import plan
from sim.predict import Ids, PerfectPredictor, RecallPredictor, Sight
from sim.schedule import Kind, Phase, Reason, Schedule
from sim.strategies.daop import Daop
from sim.strategies.registry import make_strategy
from sim.trace import ExpertIds, RoutingTrace
from tests.hand_work import experts_on, ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import BF16, roofline, tiny_costs, tiny_machine, tiny_model
from tests.traces import random_trace

THREE = tiny_model(n_layers=3)  # with six slots, experts 0 and 1 of every block are on the GPU
EIGHT = tiny_model(n_layers=8)


class Says:
    """Predicts for each block what it was told to, whatever the token."""

    sight: ClassVar[Sight] = Sight.NOTHING

    def __init__(self, of: dict[int, Sequence[int]]) -> None:
        self._of = of

    def predict(
        self, moe_layer: int, step: int, truth: Ids | None, *, ahead: int = 1, size: int | None = None
    ) -> ExpertIds:
        assert ahead == 1, "DAOP looks one block ahead"
        return np.array([self._of[moe_layer]], np.uint8)[:, :size]

    def observe(self, moe_layer: int, ids: Ids) -> None: ...


ONE_TOKEN = trace_of([[0, 2], [2, 1], [3, 2]])
TWO_BLOCKS = trace_of([[0, 2], [3, 1]])
SAID = Says({1: [2, 1, 0, 3], 2: [3, 2, 1, 0]})


def decode_tiny(strategy: Daop | None = None, said: Says = SAID, machine: Any = None, **knobs: Any) -> Schedule:
    strategy = strategy or Daop(**{"first_predicted": 1} | knobs)
    return plan_tiny(strategy, ONE_TOKEN, 6, model=THREE, predictor=said, machine=machine)


# -- decode ------------------------------------------------------------------------------------------------


def test_a_decode_step_worked_by_hand() -> None:
    """Block 0 follows its router; the others run what was named on the state of the block before them."""
    assert listing(decode_tiny()) == lines("""
        0 attention gpu0 0 1t
        1 gate gpu0 0 1t after 0
        2 wait host after 1
        3 gate gpu0 1 1t after 0                        # the next block's gate on this block's state
        4 wait host after 3
        5 send gpu0.d2h 1 precompute 1t 20B after 0     # 1/2 starts on the older state, before block 0's experts
        6 expert cpu 1/2 precompute 1t after 5
        7 send gpu0.h2d 1 precompute 1t 20B p-1 after 6
        8 send gpu0.d2h 0 offload 1t 20B after 1        # 0/2 inline, the host waits
        9 wait host after 8
        10 expert cpu 0/2 offload 1t after 8
        11 wait host after 10
        12 send gpu0.h2d 0 offload 1t 20B p-1 after 10
        13 wait host after 12
        14 expert gpu0 0/0 hit slot5 1t after 1         # and then the GPU's
        15 combine gpu0 0 1t after 12 14
        16 attention gpu0 1 1t after 15
        17 gate gpu0 2 1t after 16
        18 wait host after 17
        19 send gpu0.d2h 2 precompute 1t 20B after 16   # 3 and 2 are both on the CPU: 1 runs instead of 2
        20 expert cpu 2/3 precompute 1t after 19
        21 send gpu0.h2d 2 precompute 1t 20B p-1 after 20
        22 expert gpu0 1/1 hit slot2 1t after 16        # no gate of its own
        23 wait host after 7                            # awaited after the GPU's experts
        24 combine gpu0 1 1t after 7 22
        25 attention gpu0 2 1t after 24
        26 expert gpu0 2/1 hit slot0 1t after 25
        27 wait host after 21
        28 combine gpu0 2 1t after 21 26
        29 head gpu0 2 1t after 28
        30 wait host after 29
    """)


def test_its_time_is_worked_out_by_hand() -> None:
    """GPU kernels and sends take 1 s, a token on the CPU 4 s; the CPU does one expert at a time."""
    times = timed(decode_tiny()).times
    assert [times.start_s[op] for op in (6, 10, 20)] == [4, 8, 18], "0/2 waits for 1/2, which was asked for first"
    assert times.end_s[24] == 19, "1/2 was there since 9"
    assert times.end_s[28] == 24, "2/3 is up at 23, after 2/1 on the GPU at 21"


def test_pre_calculation_starts_before_the_block_befores_experts_end() -> None:
    slow = tiny_machine(
        rooflines=[roofline(kind) for kind in ("attention", "gate", "combine", "head")]
        + [roofline("expert", fixed_s=10.0), roofline("expert", device="cpu", flop_per_s=100.0, fixed_s=0.0)]
    )
    schedule = decode_tiny(machine=slow)
    times = timed(schedule, slow).times
    (early,) = ops_where(schedule, kind=Kind.EXPERT, layer=2, reason=Reason.PRECOMPUTE)
    (before,) = ops_where(schedule, kind=Kind.EXPERT, layer=1, reason=Reason.HIT)
    assert times.start_s[before] < times.start_s[early] < times.end_s[early] < times.end_s[before]


def test_predicted_blocks_start_with_the_fifth_in_the_code_and_the_fourth_in_the_paper() -> None:
    trace = random_trace([(0, 3)], 8, 4, 2)
    for variant, first in (("code", 5), ("paper", 4)):
        schedule = plan_tiny(Daop(variant=variant), trace, 16, model=EIGHT, predictor=PerfectPredictor())  # type: ignore[arg-type]
        early = ops_where(schedule, kind=Kind.EXPERT, reason=Reason.PRECOMPUTE)
        inline = ops_where(schedule, kind=Kind.EXPERT, reason=Reason.OFFLOAD)
        assert min(schedule.ops.layer[early]) == first
        assert max(schedule.ops.layer[inline]) == first - 1


def test_more_blocks_than_there_are_cannot_follow_their_router() -> None:
    trace = trace_of([[3, 2], [0, 1]])
    assert plan_tiny("daop", trace, 4, predictor=PerfectPredictor(), first_predicted=2)
    with pytest.raises(InputError, match=r"first_predicted: tiny decodes .* 2 MoE blocks \(got 3\); give at"):
        plan_tiny("daop", trace, 4, predictor=PerfectPredictor(), first_predicted=3)


def test_the_routers_own_choice_is_neither_awaited_nor_followed_in_a_predicted_block() -> None:
    wrong = Says({1: [0, 1], 2: [1, 0]})
    schedule = decode_tiny(said=wrong)
    assert experts_on(schedule, "gpu0") == [(0, "hit"), (0, "hit"), (1, "hit"), (1, "hit"), (0, "hit")]
    fidelity = summarise(timed(schedule)).fidelity
    assert fidelity is not None
    assert fidelity.changed_by_layer == (0, 1 / 2, 1)


def test_with_both_on_the_cpu_the_lower_is_replaced_by_the_best_on_the_gpu() -> None:
    strategy = Daop(first_predicted=1)
    schedule = decode_tiny(strategy)
    assert [(e, r) for e, r in experts_on(schedule, "cpu") if r == "precompute"] == [
        (2, "precompute"),
        (3, "precompute"),
    ]
    assert strategy.replaced == 1
    fidelity = summarise(timed(schedule)).fidelity
    assert fidelity is not None
    assert fidelity.changed_by_layer == (0, 0, 1 / 2), "1/2 ran as routed, on an older state"


def test_without_degradation_both_run_on_the_cpu() -> None:
    schedule = decode_tiny(cpu_experts=2)
    assert [e for e, reason in experts_on(schedule, "cpu") if reason == "precompute"] == [2, 2, 3]
    fidelity = summarise(timed(schedule)).fidelity
    assert fidelity is not None
    assert fidelity.changed == 0


def test_inline_experts_run_in_the_routers_order() -> None:
    schedule = plan_tiny("daop", trace_of([[3, 2], [0, 1]]), 4, predictor=PerfectPredictor())
    assert experts_on(schedule, "cpu") == [(3, "offload"), (2, "offload"), (0, "offload"), (1, "offload")]


@pytest.mark.parametrize("top_k", [1, 2, 3, 4])
@pytest.mark.parametrize("batch", [1, 3])
def test_decode_moves_no_weights_and_predicted_blocks_have_one_cpu_expert_a_token_at_most(
    top_k: int, batch: int
) -> None:
    model = tiny_model(n_layers=4, n_experts=6, top_k=top_k)
    trace = random_trace([(3, 8)] * 3, 4, 6, top_k, seed=top_k)
    schedule = plan_tiny(
        "daop", trace, 12, model=model, batch=batch, first_predicted=2, predictor=RecallPredictor(4, 6, recall=0.7)
    )
    ops = schedule.ops
    decode = np.array([step.phase == Phase.DECODE for step in schedule.steps])[ops.step]
    moves = np.isin(ops.kind, (Kind.LOAD, Kind.UNLOAD))
    assert moves[~decode].any()
    assert not moves[decode].any()
    on_cpu = decode & (ops.kind == Kind.EXPERT) & (ops.lane == schedule.lane_index["cpu"]) & (ops.layer >= 2)
    assert on_cpu.any()
    for step in set(ops.step[on_cpu].tolist()):
        for layer in (2, 3):
            tokens = ops.tokens[on_cpu & (ops.step == step) & (ops.layer == layer)]
            assert tokens.sum() <= schedule.steps[step].tokens
            assert batch > 1 or len(tokens) <= 1


def test_every_token_of_a_batch_has_a_prediction_of_its_own() -> None:
    """3 and 2 are on the GPU. One token wants 0 and 3; the other 0 and 1, and the most popular 3 runs instead of 1."""
    trace = trace_of([[0, 1], [0, 3]], [[0, 1], [0, 1]], prompts=[0, 0], lengths=[1, 1])
    schedule = plan_tiny("daop", trace, 4, batch=2, first_predicted=1, predictor=PerfectPredictor())
    chosen = ops_where(schedule, kind=Kind.EXPERT, layer=1)
    ops = schedule.ops
    assert [(ops.expert[op], ops.tokens[op], Reason(ops.reason[op])) for op in chosen] == [
        (0, 2, Reason.PRECOMPUTE), (3, 2, Reason.HIT)
    ]  # fmt: skip


def test_the_blocks_of_an_encoder_do_not_count_as_the_first_ones() -> None:
    """Blocks 0 and 1 run in prefill only: the decoder's first block is block 2."""
    model = tiny_model(n_layers=4, encoder_layers=2)
    trace = random_trace([(2, 2)], 4, 4, 2)
    schedule = plan_tiny("daop", trace, 0, model=model, first_predicted=1, predictor=PerfectPredictor())
    assert set(schedule.ops.layer[ops_where(schedule, kind=Kind.EXPERT, reason=Reason.PRECOMPUTE)]) == {3}


# -- prefill -----------------------------------------------------------------------------------------------

# Tokens of 0/0 … 0/3: 2, 1, 5, 2; of 1/0 … 1/3: 3, 1, 3, 3. On the GPU are 0/0, 0/1, 1/2, 1/3.
PROMPT = trace_of([[2, 0], [0, 2]], [[2, 0], [0, 2]], [[2, 1], [0, 3]], [[2, 3], [2, 3]], [[2, 3], [3, 1]], prompts=[5])


def prefill_tiny(trace: RoutingTrace = PROMPT, cached: int = 4, **knobs: Any) -> Schedule:
    return plan_tiny("daop", trace, cached, predictor=PerfectPredictor(), **knobs)


def test_a_prefill_worked_by_hand() -> None:
    """0/2 changes places with 0/1; 0/3 and 0/0 have equal tokens, and so have 1/0 and 1/2."""
    assert listing(prefill_tiny()) == lines("""
        0 attention gpu0 0 5t
        1 gate gpu0 0 5t after 0
        2 wait host after 1
        3 unload gpu0.d2h 0/1 swap slot1 400B
        4 load gpu0.h2d 0/2 swap slot4 400B after 3     # not before the other is out
        5 wait host after 4                             # synchronous, before the layer's experts
        6 send gpu0.d2h 0 offload 1t 20B after 1        # the second thread: 1 × 4 s and 2 × 4 s < 10 s
        7 expert cpu 0/1 offload 1t after 6
        8 send gpu0.d2h 0 offload 2t 40B after 1
        9 expert cpu 0/3 offload 2t after 8
        10 expert gpu0 0/0 hit slot3 2t after 1
        11 expert gpu0 0/2 demand slot4 5t after 1 4
        12 send gpu0.h2d 0 offload 1t 20B p-1 after 7
        13 send gpu0.h2d 0 offload 2t 40B p-1 after 9
        14 wait host after 12 13
        15 combine gpu0 0 5t after 10 11 12 13
        16 attention gpu0 1 5t after 15
        17 gate gpu0 1 5t after 16
        18 wait host after 17
        19 send gpu0.d2h 1 offload 1t 20B after 17
        20 expert cpu 1/1 offload 1t after 19
        21 load gpu0.h2d 1/0 stream slot1 400B after 3 17 # 3 × 4 s > 10 s; through the slot that is free
        22 wait host after 21
        23 expert gpu0 1/0 stream slot1 3t after 17 21
        24 expert gpu0 1/2 hit slot0 3t after 17
        25 expert gpu0 1/3 hit slot2 3t after 17
        26 send gpu0.h2d 1 offload 1t 20B p-1 after 20
        27 wait host after 26
        28 combine gpu0 1 5t after 23 24 25 26
        29 head gpu0 1 1t after 28
        30 wait host after 29
    """)


def test_its_time_is_worked_out_too() -> None:
    swap, cpu = 10 + 10, 1 + 4 + 8 + 1  # both experts run on the CPU one after the other, the GPU beside them
    first = 1 + 1 + swap + cpu + 1
    second = 1 + 1 + 10 + 3 + 1  # the CPU is done long before
    assert timed(prefill_tiny()).makespan_s == first + second + 1


def test_the_constants_of_the_split_are_knobs() -> None:
    """Two tokens × 3 ms < 7 ms, one token × 7 ms is not."""

    def on_cpu(**knobs: float) -> list[int]:
        return [e for e, _ in experts_on(prefill_tiny(max_swaps=0, **knobs), "cpu")]  # type: ignore[arg-type]

    assert on_cpu(latency_cpu_ms=3, latency_gpu_ms=7) == [3, 1]
    assert on_cpu(latency_cpu_ms=7, latency_gpu_ms=7) == []
    assert on_cpu(latency_gpu_ms=4000.5) == [1], "one constant may be the machine's: 4 s a token"
    assert on_cpu(latency_cpu_ms=1) == [2, 3, 0, 1], "or the other: 10 s a load"


def test_the_paper_balances_the_two_sides_where_the_code_looks_at_each_expert() -> None:
    """Three experts of two tokens, 8 s each on the CPU and 10 s each to load: all three, or two and one load beside."""
    trace = trace_of([[0, 1], [0, 1]], [[0, 1], [0, 1]], [[2, 3], [2, 3]], [[2, 3], [2, 3]], prompts=[4])
    code, paper = (prefill_tiny(trace, 0, variant=variant) for variant in ("code", "paper"))
    assert len(experts_on(code, "cpu")) == 8
    assert [e for e, _ in experts_on(paper, "cpu")] == [2, 3, 2, 3]
    assert timed(paper).makespan_s < timed(code).makespan_s


def test_what_a_prompt_swapped_in_stays_for_decode_and_for_the_next_request() -> None:
    tokens = [[[2, 3], [3, 2]]] * 3
    trace = trace_of(*tokens, [[2, 3], [3, 2]], *tokens, prompts=[3, 3], lengths=[4, 3])
    schedule = prefill_tiny(trace)
    loads = ops_where(schedule, kind=Kind.LOAD)
    assert [(schedule.ops.step[op], schedule.ops.expert[op]) for op in loads] == [(0, 2), (0, 3)]
    decoded = [op for op in ops_where(schedule, kind=Kind.EXPERT) if schedule.ops.step[op] == 1]
    assert {Reason(reason) for reason in schedule.ops.reason[decoded]} == {Reason.HIT}


def test_in_the_code_an_idle_expert_on_the_cpu_is_among_the_cold_and_prevents_a_swap() -> None:
    """0/0 and 0/1 are on the GPU with two tokens and one; 0/2 has three and is to change places with 0/1."""
    trace = trace_of([[2, 0], [3, 0]], [[2, 0], [3, 0]], [[2, 1], [3, 0]], prompts=[3])
    for variant, came in (("code", []), ("paper", [(0, 2)])):
        schedule = prefill_tiny(trace, 3, variant=variant)
        swaps = ops_where(schedule, kind=Kind.LOAD, reason=Reason.SWAP)
        assert [(int(schedule.ops.layer[op]), int(schedule.ops.expert[op])) for op in swaps] == came


# -- the world it is told of -------------------------------------------------------------------------------


def test_the_placement_is_by_the_decode_steps_of_calibration() -> None:
    """Prompts go to 2 and 3 more often, decode steps to 1 and 0."""
    calibration = trace_of(*[[[2, 3], [2, 3]]] * 3, *[[[1, 0], [1, 0]]] * 2, prompts=[3])
    schedule = plan(
        make_strategy("daop"), tiny_model(), BF16, TWO_BLOCKS, cached=3, popularity=calibration.popularity(),
        calibration=calibration, predictor=PerfectPredictor(), costs=tiny_costs(),
    )  # fmt: skip
    assert set(schedule.start_slots) == {(0, 0), (0, 1), (1, 0)}


def test_it_needs_a_predictor_and_a_machine_or_both_constants() -> None:
    with pytest.raises(InputError, match="daop needs a predictor"):
        plan(make_strategy("daop"), tiny_model(), BF16, TWO_BLOCKS, cached=2, costs=tiny_costs())
    with pytest.raises(InputError, match="machine: a strategy that compares CPU and GPU needs a machine"):
        plan(make_strategy("daop"), tiny_model(), BF16, TWO_BLOCKS, cached=2, predictor=PerfectPredictor())
    constants = {"latency_cpu_ms": 8.5, "latency_gpu_ms": 210}
    plan(make_strategy("daop", **constants), tiny_model(), BF16, TWO_BLOCKS, cached=2, predictor=PerfectPredictor())


def test_a_larger_cache_changes_fewer_decisions_and_a_full_or_empty_one_none() -> None:
    """With a perfect prediction only degradation is left; with nothing on the GPU, nothing can replace."""
    trace = random_trace([(0, 60)], 3, 8, 2)
    model = tiny_model(n_layers=3, n_experts=8)
    changed = []
    for cached in (0, 6, 12, 18, 24):
        strategy = Daop(first_predicted=1)
        schedule = plan_tiny(strategy, trace, cached, model=model, predictor=PerfectPredictor())
        fidelity = summarise(timed(schedule)).fidelity
        assert fidelity is not None
        assert fidelity.changed == strategy.replaced / (60 * 3 * 2)
        changed.append(fidelity.changed)
    assert changed[0] == changed[-1] == 0
    assert changed[1] > changed[2] > changed[3] > 0
