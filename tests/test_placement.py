from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.placement import popular_placement
from tests.machines import tiny_model

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
