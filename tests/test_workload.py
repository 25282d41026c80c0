from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import InputError
from sim.workload import accesses, routed, steps
from tests.traces import random_trace, sequence_lists


@given(sequence_lists, st.integers(1, 4))
def test_every_token_is_in_exactly_one_step_with_its_context(sequences: list[tuple[int, int]], batch: int) -> None:
    trace = random_trace(sequences)
    seen = np.zeros(trace.n_tokens, dtype=int)
    for step in steps(trace, batch):
        seen[step.token_rows] += 1
        lengths = step.context if step.phase == "prefill" else np.ones_like(step.context)
        owner = np.repeat(step.sequences, lengths)
        last = np.cumsum(lengths) - 1
        assert np.array_equal(owner, np.searchsorted(trace.offsets, step.token_rows, side="right") - 1)
        assert np.array_equal(step.context, step.token_rows[last] - trace.offsets[step.sequences] + 1)
        in_prompt = step.token_rows - trace.offsets[owner] < trace.prompt_tokens[owner]
        assert in_prompt.all() if step.phase == "prefill" else not in_prompt.any()
    assert (seen == 1).all()


@given(sequence_lists, st.integers(1, 4))
def test_batches_run_one_after_the_other_and_only_shrink(sequences: list[tuple[int, int]], batch: int) -> None:
    previous: tuple[int, set[int]] = (-1, set())
    for step in steps(random_trace(sequences), batch):
        group, members = int(step.sequences[0]) // batch, set(step.sequences.tolist())
        assert {int(sequence) // batch for sequence in step.sequences} == {group}
        assert group >= previous[0]
        if group == previous[0] and step.phase == "decode" and previous[1]:
            assert members <= previous[1]
        previous = (group, members if step.phase == "decode" else set())


def test_two_of_three_sequences_run_in_lock_step_and_the_third_alone() -> None:
    trace = random_trace([(3, 1), (2, 2), (0, 1)])
    assert [(s.phase, s.token_rows.tolist(), s.sequences.tolist(), s.context.tolist()) for s in steps(trace, 2)] == [
        ("prefill", [0, 1, 2, 4, 5], [0, 1], [3, 2]),
        ("decode", [3, 6], [0, 1], [4, 3]),
        ("decode", [7], [1], [4]),
        ("decode", [8], [2], [1]),
    ]


def test_routed_counts_tokens_per_distinct_expert_and_skips_missing() -> None:
    trace = random_trace([(5, 0)], n_experts=4)
    trace.ids[1, 1] = trace.missing
    (step,) = steps(trace, 1)
    experts, tokens = routed(trace, step, 1)
    flat = [int(i) for i in trace.ids[:, 1].ravel() if i != 255]
    assert dict(zip(experts.tolist(), tokens.tolist(), strict=True)) == {i: flat.count(i) for i in sorted(set(flat))}
    assert experts.tolist() == sorted(experts.tolist())


def test_accesses_are_one_list_per_step_and_layer_in_routing_order() -> None:
    trace = random_trace([(2, 1)])
    trace.ids[0, 1] = trace.missing
    ids = trace.ids.tolist()
    assert list(accesses(trace)) == [
        [(0, e) for e in ids[0][0] + ids[1][0]],
        [(1, e) for e in ids[1][1]],
        [(0, e) for e in ids[2][0]],
        [(1, e) for e in ids[2][1]],
    ]


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"batch: must be at least 1 \(got 0\)"):
        list(steps(random_trace([(1, 1)]), 0))
