from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import InputError
from sim.parts.placement import decode_popularity, equal_share, most_popular, popular_placement
from sim.strategy import World
from tests.listing import trace_of
from tests.machines import BF16, tiny_model

MODEL = tiny_model(n_layers=3, moe_layers=(0, 2), dense_hidden=10)
COUNTS = np.array([[5, 1, 9, 2], [7, 8, 0, 6]])


def test_every_block_keeps_its_most_popular_and_the_rest_goes_to_the_most_popular_of_all() -> None:
    assert popular_placement(MODEL, COUNTS, 3) == [(2, 0), (2, 1), (0, 2)]  # the extra one is the 7
    assert popular_placement(MODEL, COUNTS, 4) == [(0, 0), (2, 0), (2, 1), (0, 2)]


def test_fewer_slots_than_blocks_go_to_the_most_popular_of_all() -> None:
    assert popular_placement(MODEL, COUNTS, 1) == [(0, 2)]
    assert popular_placement(MODEL, COUNTS, 0) == []


def test_ties_go_to_the_lower_block_and_expert() -> None:
    assert popular_placement(MODEL, np.ones((2, 4), np.int64), 3) == [(0, 1), (2, 0), (0, 0)]


def test_the_most_popular_of_all_may_leave_a_block_without_any() -> None:
    counts = np.array([[5, 1, 6, 2], [7, 8, 0, 6]])
    assert most_popular(MODEL, counts, 3) == [(0, 2), (2, 0), (2, 1)]
    assert most_popular(MODEL, counts, 2) == [(2, 0), (2, 1)]
    assert most_popular(MODEL, counts, 99)[0] == (2, 2)
    assert len(most_popular(MODEL, counts, 99)) == 8
    assert most_popular(MODEL, counts, 0) == []


def test_decode_popularity_counts_decode_steps_if_calibration_has_any() -> None:
    everything = np.full((2, 4), 9)
    prompt, decode = [[0, 1], [2, 3]], [[3, 2], [0, 1]]

    def counts(prompts: int | None) -> list[list[int]]:
        calibration = None if prompts is None else trace_of(prompt, decode, prompts=[prompts])
        return decode_popularity(World(MODEL, BF16, 3, everything, calibration=calibration)).tolist()

    assert counts(1) == [[0, 0, 1, 1], [1, 1, 0, 0]]
    assert counts(2) == counts(None) == everything.tolist()


@given(
    st.lists(st.integers(0, 4), min_size=8, max_size=8).map(lambda counts: np.array(counts).reshape(2, 4)),
    st.integers(0, 12),
)
def test_no_block_is_short_changed_and_no_one_left_out_is_more_popular(counts: np.ndarray, n_slots: int) -> None:
    placed = popular_placement(MODEL, counts, n_slots)
    assert len(placed) == len(set(placed)) == min(n_slots, 8)
    every = min(n_slots // 2, 4)
    outside_counts, extra_counts = [], []
    for row, block in enumerate((0, 2)):
        chosen = sorted((counts[row, expert] for layer, expert in placed if layer == block), reverse=True)
        best = sorted(counts[row], reverse=True)
        assert chosen == best[: len(chosen)]
        assert len(chosen) >= every
        extra_counts += chosen[every:]
        outside_counts += best[len(chosen) :]
    assert min(extra_counts, default=9) >= max(outside_counts, default=0)


def test_blocks_that_share_equally_have_all_or_none() -> None:
    assert equal_share(tiny_model(), 6, "it") == 3
    assert equal_share(tiny_model(), 10, "it") == 4, "no more than a block has experts"
    for n_slots in (0, 1, 5):
        with pytest.raises(InputError, match="the same number of slots"):
            equal_share(tiny_model(), n_slots, "it")
