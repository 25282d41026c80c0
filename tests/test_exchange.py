from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.parts.exchange import exchanges

CPU, GPU = False, True


def test_the_busiest_on_the_cpu_meets_the_idlest_on_the_gpu() -> None:
    tokens, resident = [5, 40, 9, 30, 2, 50], [GPU, CPU, GPU, CPU, GPU, CPU]
    assert exchanges(tokens, resident, ratio=1.05, most=3) == [(5, 4), (1, 0), (3, 2)]
    assert exchanges(tokens, resident, ratio=1.05, most=2) == [(5, 4), (1, 0)]
    assert exchanges(tokens, resident, ratio=1.05, most=0) == []


def test_a_pair_changes_places_only_above_the_ratio() -> None:
    for hot, swapped in ((20, False), (21, False), (22, True)):
        assert bool(exchanges([hot, 20], [CPU, GPU], ratio=1.05, most=1)) == swapped, "21 is 1.05 × 20, not above"


def test_a_pair_that_fails_does_not_move_the_others() -> None:
    """The second pair is 10 against 10: no swap, and 10 is not tried on the next."""
    assert exchanges([30, 10, 1, 10, 11], [CPU, CPU, GPU, GPU, GPU], ratio=1.05, most=3) == [(0, 2)]


def test_ties_go_to_the_lower_number() -> None:
    assert exchanges([7, 7, 3, 3], [CPU, CPU, GPU, GPU], ratio=1.0, most=1) == [(0, 2)]


def test_an_idle_expert_on_the_cpu_takes_a_cold_place_if_it_counts_as_one() -> None:
    """0 and 3 are idle, 3 on the CPU. The idlest two are 0 and 3, then comes 1."""
    tokens, resident = [0, 4, 9, 0, 8], [GPU, GPU, CPU, CPU, CPU]
    assert exchanges(tokens, resident, ratio=1.05, most=2) == [(2, 0), (4, 1)]
    assert exchanges(tokens, resident, ratio=1.05, most=2, idle_count_as_cold=True) == [(2, 0)]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=9), st.integers(0, 5), st.floats(0.5, 2))
def test_nobody_moves_twice_and_only_the_right_way(experts: list[tuple[int, bool]], most: int, ratio: float) -> None:
    tokens, resident = [n for n, _ in experts], [r for _, r in experts]
    for idle in (False, True):
        pairs = exchanges(tokens, resident, ratio=ratio, most=most, idle_count_as_cold=idle)
        moved = [e for pair in pairs for e in pair]
        assert len(set(moved)) == len(moved) <= 2 * most
        assert all(not resident[hot] and resident[cold] for hot, cold in pairs)
        assert all(tokens[hot] > ratio * tokens[cold] for hot, cold in pairs)
