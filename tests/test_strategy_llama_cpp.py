from __future__ import annotations

import numpy as np
import pytest

from sim.errors import InputError
from sim.metrics import moved_bytes
from sim.schedule import Kind, Schedule
from sim.strategies.registry import make_strategy
from sim.trace import RoutingTrace
from tests.hand_work import experts_on, loaded, nothing_overlaps, ops_where, plan_tiny, timed
from tests.listing import lines, listing, trace_of
from tests.machines import EXPERT_BYTES, HIDDEN_BYTES, tiny_model
from tests.traces import random_trace

ONE_TOKEN = trace_of([[0, 2], [3, 1]])
# Three prompt tokens: 0/2 has three, 0/0 two, 0/3 one; all three go to 1/3 and 1/1.
PROMPT = trace_of([[2, 3], [3, 1]], [[2, 0], [3, 1]], [[2, 0], [3, 1]], prompts=[3])
BUFFER = 2  # one of the two matrices of each of four experts


def test_decode_computes_the_first_blocks_on_the_cpu_and_the_others_on_the_gpu() -> None:
    """Activations cross once each way; the host never learns where the GPU's own blocks are routed."""
    schedule = plan_tiny("llama-cpp", ONE_TOKEN, 4 + BUFFER, n_cpu_moe=1)
    assert schedule.start_slots == ((1, 0), (1, 1), (1, 2), (1, 3))
    assert listing(schedule) == lines("""
        0 attention gpu0 0 1t
        1 gate gpu0 0 1t after 0
        2 send gpu0.d2h 0 offload 1t 20B after 1
        3 wait host after 2
        4 expert cpu 0/0 offload 1t after 2
        5 expert cpu 0/2 offload 1t after 2
        6 send gpu0.h2d 0 offload 2t 40B after 5     # the router's weights are applied on the GPU: two rows
        7 wait host after 6
        8 combine gpu0 0 1t after 6
        9 attention gpu0 1 1t after 8
        10 gate gpu0 1 1t after 9
        11 expert gpu0 1/1 hit slot1 1t after 10
        12 expert gpu0 1/3 hit slot3 1t after 10
        13 combine gpu0 1 1t after 11 12
        14 head gpu0 1 1t after 13
        15 wait host after 14
    """)
    assert timed(schedule).makespan_s == (1 + 1 + 1 + 2 * 4 + 1 + 1) + (1 + 1 + 2 + 1) + 1


def test_a_large_batch_streams_the_experts_that_it_uses_a_bufferful_at_a_time() -> None:
    """Three experts go through a buffer of two; the GPU is done with it before it is filled again."""
    schedule = plan_tiny("llama-cpp", PROMPT, BUFFER, stream_from=3)
    assert listing(schedule) == lines("""
        0 attention gpu0 0 3t
        1 gate gpu0 0 3t after 0
        2 wait host after 1                            # which experts to copy
        3 load gpu0.h2d 0/0 stream slot0 400B after 1
        4 load gpu0.h2d 0/2 stream slot1 400B after 1
        5 expert gpu0 0/0 stream slot0 2t after 3 4
        6 expert gpu0 0/2 stream slot1 3t after 4
        7 wait host after 6
        8 load gpu0.h2d 0/3 stream slot0 400B after 3 5 6
        9 expert gpu0 0/3 stream slot0 1t after 8
        10 combine gpu0 0 3t after 5 6 9
        11 attention gpu0 1 3t after 10
        12 gate gpu0 1 3t after 11
        13 wait host after 12
        14 load gpu0.h2d 1/1 stream slot1 400B after 4 6 12
        15 load gpu0.h2d 1/3 stream slot0 400B after 8 9 12
        16 expert gpu0 1/1 stream slot1 3t after 14 15
        17 expert gpu0 1/3 stream slot0 3t after 15
        18 combine gpu0 1 3t after 16 17
        19 head gpu0 1 1t after 18
        20 wait host after 19
    """)
    assert timed(schedule).makespan_s == (2 + 20 + 2 + 10 + 1 + 1) + (2 + 20 + 2 + 1) + 1


@pytest.mark.parametrize("stream_from", [1, 100])
def test_copies_cpu_and_gpu_alternate_strictly(stream_from: int) -> None:
    """Not even the shared expert runs beside the CPU."""
    model = tiny_model(n_layers=3, shared_hidden=20)
    trace = random_trace([(5, 3), (2, 2)], 3, 4, 2)
    timeline = timed(plan_tiny("llama-cpp", trace, BUFFER, model=model, stream_from=stream_from))
    assert nothing_overlaps(timeline)


@pytest.mark.parametrize(("tokens", "lane"), [(31, "cpu"), (32, "gpu0")])
def test_from_32_tokens_on_the_weights_come_to_the_gpu(tokens: int, lane: str) -> None:
    schedule = plan_tiny("llama-cpp", trace_of(*[[[2, 3], [3, 1]]] * tokens, prompts=[tokens]), BUFFER)
    assert [expert for expert, _ in experts_on(schedule, lane)] == [2, 3, 1, 3]


def test_the_rule_counts_the_tokens_of_a_pass_also_in_decode() -> None:
    """32 sequences that decode together stream; 31 do not."""
    for sequences, loads in ((31, 0), (32, 4)):
        trace = trace_of(*[[[2, 3], [3, 1]]] * sequences, prompts=[0] * sequences, lengths=[1] * sequences)
        schedule = plan_tiny("llama-cpp", trace, BUFFER, batch=sequences)
        assert len(loaded(schedule)) == loads


def test_each_micro_batch_streams_anew_and_a_small_rest_goes_to_the_cpu() -> None:
    """Five tokens two at a time, of which the last alone is too small a batch."""
    trace = trace_of([[0, 1]], [[2, 1]], [[1, 0]], [[0, 1]], [[3, 2]], prompts=[5])
    schedule = plan_tiny("llama-cpp", trace, BUFFER, model=tiny_model(n_layers=1), n_ubatch=2, stream_from=2)
    assert loaded(schedule) == [(0, 0), (0, 1), (0, 2), (0, 0), (0, 1)]
    computed = ops_where(schedule, kind=Kind.EXPERT)
    columns = (schedule.ops.expert[computed], schedule.ops.tokens[computed], schedule.ops.lane[computed])
    gpu, cpu = (schedule.lane_index[name] for name in ("gpu0", "cpu"))
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [
        (0, 1, gpu), (1, 2, gpu), (2, 1, gpu), (0, 2, gpu), (1, 2, gpu), (2, 1, cpu), (3, 1, cpu)
    ]  # fmt: skip
    assert nothing_overlaps(timed(schedule))


def test_before_august_2025_every_expert_of_a_block_was_copied() -> None:
    schedule = plan_tiny("llama-cpp", PROMPT, BUFFER, stream_from=3, copied="all")
    assert loaded(schedule) == [(layer, expert) for layer in (0, 1) for expert in range(4)]
    assert [expert for expert, _ in experts_on(schedule, "gpu0")] == [0, 2, 3, 1, 3]
    assert nothing_overlaps(timed(schedule))


def test_a_prompt_moves_weights_and_a_decode_step_only_activations() -> None:
    """Of two of three blocks, one row down and two up a step."""
    model, trace = tiny_model(n_layers=3), random_trace([(40, 5)], 3, 4, 2)
    schedule = plan_tiny("llama-cpp", trace, 4 + BUFFER, model=model, n_cpu_moe=2)
    loads = ops_where(schedule, kind=Kind.LOAD)
    assert set(schedule.ops.step[loads].tolist()) == {0}
    assert moved_bytes(schedule, Kind.LOAD) == len(loads) * EXPERT_BYTES
    assert len(loads) == 2 * 4, "forty tokens need every expert"
    assert moved_bytes(schedule, Kind.SEND) == 5 * 2 * (1 + 2) * HIDDEN_BYTES


def test_decode_time_is_linear_in_the_number_of_blocks_on_the_host() -> None:
    """Each block takes 8 s on the CPU and 2 s for activations instead of 2 s on the GPU."""
    model, trace = tiny_model(n_layers=6), random_trace([(0, 4)], 6, 4, 2)
    seconds = [timed(_on_host(n, model.n_layers, trace)).makespan_s for n in range(7)]
    assert np.diff(seconds).tolist() == [4 * 8.0] * 6


def _on_host(n: int, n_layers: int, trace: RoutingTrace) -> Schedule:
    strategy, model = make_strategy("llama-cpp", n_cpu_moe=n), tiny_model(n_layers=n_layers)
    return plan_tiny(strategy, trace, strategy.slots(model) or 0, model=model)


def test_blocks_are_counted_from_the_first_whether_they_have_experts_or_not() -> None:
    model = tiny_model(n_layers=4, moe_layers=(1, 2, 3), dense_hidden=10)
    slots = [make_strategy("llama-cpp", n_cpu_moe=n).slots(model) for n in (0, 1, 2, 4, "all")]
    assert slots == [12, 12, 8 + BUFFER, BUFFER, BUFFER]


def test_too_few_slots_are_refused() -> None:
    with pytest.raises(InputError, match=rf"llama-cpp needs {4 + BUFFER} expert slots \(got 5\)"):
        plan_tiny("llama-cpp", ONE_TOKEN, 5, n_cpu_moe=1)


def test_more_blocks_than_the_model_has_are_refused() -> None:
    with pytest.raises(InputError, match=r"strategies.n_cpu_moe: tiny has only 2 blocks \(got 3\); give at most 2, or"):
        make_strategy("llama-cpp", n_cpu_moe=3).slots(tiny_model())


@pytest.mark.parametrize("knob", [{"n_cpu_moe": -1}, {"n_cpu_moe": "none"}, {"n_ubatch": 0}, {"copied": "some"}])
def test_values_that_make_no_sense_are_refused(knob: dict[str, object]) -> None:
    with pytest.raises(InputError, match="llama-cpp cannot take this"):
        make_strategy("llama-cpp", **knob)
