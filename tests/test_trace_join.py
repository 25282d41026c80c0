from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.errors import InputError
from sim.trace_join import join
from tests.traces import random_trace

A = random_trace([(2, 1), (0, 2)], seed=1)
B = random_trace([(1, 1), (3, 0), (0, 1)], seed=2)


def test_traces_follow_each_other() -> None:
    both = join([A, B])
    both.validate()
    assert np.array_equal(both.ids, np.concatenate([A.ids, B.ids]))
    assert both.offsets.tolist() == [0, 3, 5, 7, 10, 11]
    assert both.prompt_tokens.tolist() == [2, 0, 1, 3, 0]


def test_in_turns_each_gives_a_sequence_until_it_has_no_more() -> None:
    both = join([A, B], in_turns=True)
    expected = [A.sequence(0), B.sequence(0), A.sequence(1), B.sequence(1), B.sequence(2)]
    assert [both.sequence(i).ids.tolist() for i in range(5)] == [part.ids.tolist() for part in expected]
    assert both.prompt_tokens.tolist() == [2, 1, 0, 3, 0]


def test_what_only_some_traces_have_is_left_out_and_what_all_have_is_kept() -> None:
    weights = [replace(trace, weights=np.ones(trace.ids.shape, np.float32)) for trace in (A, B)]
    both = join(weights).weights
    assert both is not None
    assert both.shape == (11, 2, 2)
    assert join([weights[0], B]).weights is None


def test_predictions_reach_as_far_ahead_as_all_of_them_do() -> None:
    far, near = (
        replace(trace, predicted=np.zeros((trace.n_tokens, ahead, 2, 2), np.uint8)) for trace, ahead in ((A, 3), (B, 1))
    )
    assert join([far, near]).ahead == 1
    assert join([far, B]).predicted is None


def test_traces_of_different_models_are_refused() -> None:
    with pytest.raises(InputError, match=r"n_experts: traces of different models cannot be joined \(got \[6, 8\]\)"):
        join([A, random_trace([(1, 1)], n_experts=8)])


def test_traces_without_a_sequence_are_refused() -> None:
    empty = random_trace([])
    with pytest.raises(InputError, match="n_sequences: there is nothing to join"):
        join([empty, empty])
