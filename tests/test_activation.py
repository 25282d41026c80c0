from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.parts.activation import Match, MatrixCollection, RequestTracer, request_matrices, shares
from sim.schedule import Phase
from tests.listing import trace_of

# Two stored requests of a model of three blocks with three experts.
FIRST = [[6, 0, 2], [0, 8, 0], [4, 4, 0]]
SECOND = [[1, 3, 0], [0, 1, 3], [0, 0, 4]]


def matrix(rows: list[list[int]]) -> NDArray[np.float64]:
    return np.array(rows, np.float64)


def collection(*requests: list[list[int]], capacity: int = 9) -> MatrixCollection:
    kept = MatrixCollection((3, 3), capacity)
    for request in requests:
        kept.add(matrix(request))
    return kept


def test_the_stored_matrix_at_the_smallest_cosine_distance_is_matched() -> None:
    """One token so far, of expert 1 in block 0: products 0 and 3; one of expert 1 in block 1 as well: 8 and 4.

    The norms are √136 = 11.66 and 6, so that similarities are 0 : .5 at first and then .686 : .667.
    """
    match = Match(collection(FIRST, SECOND))
    match.see(0, {1: 1})
    np.testing.assert_array_equal(match.likelihood(), shares(matrix(SECOND)))
    match.see(1, {1: 1})
    np.testing.assert_array_equal(match.likelihood(), shares(matrix(FIRST)))


def test_similarity_is_the_cosine_of_the_flattened_matrices() -> None:
    rng = np.random.default_rng(3)
    stored = rng.integers(0, 5, (20, 3, 3)).astype(float)
    for seen in rng.integers(0, 3, (30, 3, 3)):
        match = Match(collection(*stored.astype(int).tolist(), capacity=20))
        for moe, row in enumerate(seen):
            match.see(moe, {e: int(n) for e, n in enumerate(row) if n})
        cosine = (stored * seen).sum(axis=(1, 2)) / np.linalg.norm(stored, axis=(1, 2)) / np.linalg.norm(seen)
        best = stored[np.isclose(cosine, cosine.max(), rtol=1e-9)]
        np.testing.assert_allclose(match.likelihood(), shares(best.sum(axis=0)))


def test_the_likelihood_is_each_rows_share_of_tokens() -> None:
    expected = [[0.25, 0.75, 0], [0, 0.25, 0.75], [0, 0, 1]]
    match = Match(collection(SECOND))
    match.see(0, {1: 4})
    assert match.likelihood().tolist() == expected


def test_matrices_that_match_equally_well_are_added_up() -> None:
    match = Match(collection(FIRST, [[6, 0, 2], [8, 0, 0], [0, 4, 4]]))
    match.see(0, {0: 1})
    assert match.likelihood().tolist() == [[0.75, 0, 0.25], [0.5, 0.5, 0], [0.25, 0.5, 0.25]]


def test_while_nothing_is_alike_all_matrices_count() -> None:
    match = Match(collection([[1, 0, 0], [1, 0, 0], [1, 0, 0]], [[0, 1, 0], [0, 1, 0], [0, 0, 1]]))
    match.see(0, {2: 1})
    assert match.likelihood()[2].tolist() == [0.5, 0, 0.5]


def test_without_stored_requests_nothing_is_likely() -> None:
    match = Match(collection())
    match.see(0, {1: 1})
    assert not match.likelihood().any()


def test_blocks_without_tokens_stay_empty() -> None:
    assert shares(np.array([[0.0, 0.0], [1.0, 3.0]])).tolist() == [[0, 0], [0.25, 0.75]]


def test_a_full_collection_replaces_what_the_new_request_resembles_most() -> None:
    """As in figure 10 of the paper: capacity 3, the fourth is like the third."""
    third, fourth = [[0, 0, 9], [9, 0, 0], [0, 9, 0]], [[0, 0, 1], [2, 0, 0], [0, 1, 0]]
    kept = collection(FIRST, SECOND, third, fourth, capacity=3)
    assert kept.matrices.tolist() == [FIRST, SECOND, fourth]
    assert kept.norms.tolist() == [np.linalg.norm(FIRST), 6.0, np.sqrt(6)]


def test_empty_requests_are_not_kept() -> None:
    assert len(collection([[0] * 3] * 3)) == 0


def test_prompts_and_outputs_are_traced_apart() -> None:
    trace = trace_of(
        [[0, 1], [2, 3]], [[0, 2], [2, 255]], [[3, 1], [0, 1]], [[1, 2], [2, 3]], prompts=[2, 0], lengths=[3, 1]
    )
    prompts, outputs = zip(*request_matrices(trace), strict=True)
    assert [m.tolist() for m in prompts] == [[[2, 1, 1, 0], [0, 0, 2, 1]], [[0] * 4] * 2]
    assert [m.tolist() for m in outputs] == [[[0, 1, 0, 1], [1, 1, 0, 0]], [[0, 1, 1, 0], [0, 0, 1, 1]]]


CALIBRATION = trace_of([[0, 1], [0, 1]], [[0, 1], [0, 1]], [[2, 3], [2, 3]], prompts=[0, 0], lengths=[2, 1])


def tracer(*, whole_request: bool) -> RequestTracer:
    return RequestTracer((2, 4), 9, calibration=CALIBRATION, whole_request=whole_request)


@pytest.mark.parametrize(("whole_request", "expected"), [(False, [0, 0, 0.5, 0.5]), (True, [0.5, 0.5, 0, 0])])
def test_a_forward_pass_is_matched_by_itself_or_with_all_before_it(whole_request: bool, expected: list[float]) -> None:
    """Two passes like the first request, then one like the second."""
    follow = tracer(whole_request=whole_request)
    for step, used in enumerate(({0: 1, 1: 1}, {0: 1, 1: 1}, {2: 1, 3: 1})):
        follow.see(Phase.DECODE, step, 0, used)
    assert follow.likelihood()[1].tolist() == expected


@pytest.mark.parametrize("whole_request", [False, True])
def test_phases_have_collections_of_their_own(whole_request: bool) -> None:
    follow = tracer(whole_request=whole_request)
    follow.see(Phase.PREFILL, 0, 0, {0: 5, 1: 5})
    assert not follow.likelihood().any(), "no prompt was traced before"
    follow.see(Phase.DECODE, 1, 0, {0: 1, 1: 1})
    assert follow.likelihood()[1].tolist() == [0.5, 0.5, 0, 0]


def test_a_request_that_has_ended_is_remembered() -> None:
    follow = RequestTracer((2, 4), 9, calibration=None, whole_request=False)
    for step in range(2):
        follow.see(Phase.DECODE, step, 0, {0: 1})
        assert not follow.likelihood().any()
        follow.see(Phase.DECODE, step, 1, {1 + step: 3})
    follow.end_request()
    follow.see(Phase.DECODE, 2, 0, {0: 1})
    assert follow.likelihood().tolist() == [[1, 0, 0, 0], [0, 0.5, 0.5, 0]]
