from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import InputError
from sim.parts.split import Latencies, balanced, latencies, one_by_one
from sim.strategy import World
from tests.machines import BF16, tiny_costs, tiny_model

MIXTRAL_ON_A6000 = Latencies(cpu_s=8.5e-3, load_s=210e-3)
tokens_of_misses = st.dictionaries(st.integers(0, 9), st.integers(1, 40), max_size=7)
known_latencies = st.builds(Latencies, st.integers(1, 20), st.integers(1, 300))


def test_the_code_sends_fewer_than_25_tokens_to_the_cpu_with_its_constants() -> None:
    assert one_by_one({3: 24, 5: 25, 6: 1}, MIXTRAL_ON_A6000) == {3, 6}


def test_what_takes_as_long_on_the_cpu_as_its_load_is_loaded() -> None:
    assert one_by_one({0: 2, 1: 1}, Latencies(cpu_s=5, load_s=10)) == {1}


@given(tokens_of_misses, known_latencies)
def test_each_by_itself_minimises_the_sum_of_all_costs(misses: dict[int, int], known: Latencies) -> None:
    assert _sum_s(misses, one_by_one(misses, known), known) == min(
        _sum_s(misses, set(chosen), known) for chosen in _subsets(misses)
    )


@given(tokens_of_misses, known_latencies)
def test_balanced_makes_the_slower_side_as_fast_as_any_split(misses: dict[int, int], known: Latencies) -> None:
    assert _slower_s(misses, balanced(misses, known), known) == min(
        _slower_s(misses, set(chosen), known) for chosen in _subsets(misses)
    )


def test_the_two_rules_differ() -> None:
    """Three experts of 2 tokens, 8 s each on the CPU, 10 s to load: 24 s on the CPU, or 16 s beside one load."""
    known, misses = Latencies(cpu_s=4, load_s=10), {1: 2, 4: 2, 6: 2}
    assert one_by_one(misses, known) == {1, 4, 6}
    assert balanced(misses, known) == {4, 6}


def _subsets(misses: dict[int, int]) -> list[tuple[int, ...]]:
    return [chosen for n in range(len(misses) + 1) for chosen in combinations(misses, n)]


def _sum_s(misses: dict[int, int], on_host: set[int], known: Latencies) -> float:
    return sum(misses[e] * known.cpu_s if e in on_host else known.load_s for e in misses)


def _slower_s(misses: dict[int, int], on_host: set[int], known: Latencies) -> float:
    cpu_s = sum(misses[e] * known.cpu_s for e in on_host)
    return max(cpu_s, (len(misses) - len(on_host)) * known.load_s)


def test_constants_that_are_not_given_are_the_machines() -> None:
    world = World(tiny_model(), BF16, n_slots=2, popularity=np.ones((2, 4), np.int64), costs=tiny_costs())
    assert latencies(world, None, None) == Latencies(cpu_s=4.0, load_s=10.0)
    assert latencies(world, 8.5, 210) == MIXTRAL_ON_A6000
    assert latencies(world, 8.5, None) == Latencies(cpu_s=8.5e-3, load_s=10.0)


def test_without_a_machine_both_constants_are_needed() -> None:
    world = World(tiny_model(), BF16, n_slots=2, popularity=np.ones((2, 4), np.int64))
    assert latencies(world, 8.5, 210) == MIXTRAL_ON_A6000
    for constants in ((None, 210), (8.5, None)):
        with pytest.raises(InputError, match="machine: a strategy that compares CPU and GPU needs a machine"):
            latencies(world, *constants)
