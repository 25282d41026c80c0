"""Policies at work: replays, batches that enter together, and how near each policy comes to the optimum."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cache import FIFO, LFU, LRU, NEVER, make_policy, replay
from sim.errors import InputError
from tests.test_policies import BUILD, Batches, every_policy, keys, last_places, mixed_sizes

capacities = st.integers(3, 8)
fitting_batches = st.lists(st.lists(keys, max_size=3, unique=True), max_size=40)


def naive_replay(name: str, capacity: int, batches: Batches) -> tuple[int, int, int, set[int]]:
    """The definitions, word for word, over the whole history at every eviction; keys of size one."""
    history: list[int] = []
    inserted: list[int] = []
    resident: set[int] = set()
    hits = misses = evictions = 0

    def last(key: int) -> int:
        return max(i for i, used in enumerate(history) if used == key)

    def order(key: int) -> Any:  # the least leaves; `now` is where the loop below has come to
        if name == "lru":
            return last(key)
        if name == "fifo":
            return max(i for i, used in enumerate(inserted) if used == key)
        if name == "lfu":
            return history.count(key), last(key)
        return -next((p for p in range(now + 1, len(batches)) if key in batches[p]), NEVER), last(key)

    now = -1
    for batch in batches:
        now += 1
        for key in last_places(batch):
            hits, misses = hits + (key in resident), misses + (key not in resident)
            if key not in resident:
                if len(resident) == capacity and (free := resident - set(batch)):
                    resident.remove(min(free, key=order))
                    evictions += 1
                if len(resident) < capacity:
                    resident.add(key)
                    inserted.append(key)
            history.append(key)
    return hits, misses, evictions, resident


@pytest.mark.parametrize("name", ["lru", "fifo", "lfu", "belady"])
@given(capacity=capacities, batches=fitting_batches)
def test_replay_equals_the_definitions(name: str, capacity: int, batches: Batches) -> None:
    policy = BUILD[name](capacity, batches, None)
    counted = replay(policy, batches)
    expected = naive_replay(name, capacity, batches)
    assert (counted.hits, counted.misses, counted.evictions, set(policy)) == expected


@every_policy
@given(capacity=capacities, batches=fitting_batches)
def test_no_policy_beats_belady(name: str, capacity: int, batches: Batches) -> None:
    best = replay(BUILD["belady"](capacity, batches, None), batches)
    assert replay(BUILD[name](capacity, batches, None), batches).hits <= best.hits


@given(
    capacity=st.integers(2, 3),
    batches=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=2, unique=True), max_size=9),
)
def test_belady_equals_the_brute_force_optimum(capacity: int, batches: Batches) -> None:
    @cache
    def fewest_misses(position: int, resident: frozenset[int]) -> int:
        if position == len(batches):
            return 0
        batch = frozenset(batches[position])
        surplus = max(0, len(resident | batch) - capacity)
        later = (
            fewest_misses(position + 1, (resident | batch) - frozenset(evicted))
            for evicted in combinations(sorted(resident - batch), surplus)
        )
        return len(batch - resident) + min(later)

    assert replay(BUILD["belady"](capacity, batches, None), batches).misses == fewest_misses(0, frozenset())


def test_a_batch_never_evicts_its_own_members() -> None:
    lru = LRU[int](3)
    replay(lru, [[1], [2], [3]])
    assert replay(lru, [[4, 5, 1]]).hits == 1, "1 was next to leave, but is needed beside 4 and 5"
    assert set(lru) == {1, 4, 5}


def test_the_last_place_in_a_batch_decides_recency() -> None:
    lru = LRU[int](3)
    assert replay(lru, [[1, 2, 3, 1]]).accesses == 3
    replay(lru, [[4]])
    assert set(lru) == {1, 3, 4}


def test_what_a_batch_has_no_room_for_streams_through() -> None:
    fifo = FIFO[int](2)
    counted = replay(fifo, [[9], [1, 2, 3], [3, 2]])
    assert (counted.hits, counted.misses, counted.evictions) == (1, 5, 2)
    assert set(fifo) == {3, 2}
    nothing = LRU[int](0)
    assert replay(nothing, [[1], [1]]).misses == 2
    assert len(nothing) == 0


@every_policy
@given(capacity=capacities, batches=fitting_batches, share=st.floats(0, 1))
def test_a_replay_goes_on_where_the_last_one_stopped(name: str, capacity: int, batches: Batches, share: float) -> None:
    whole, parts = (BUILD[name](capacity, batches, None) for _ in range(2))
    cut = int(share * len(batches))
    hits = [replay(parts, batches[:cut]).hits, replay(parts, batches[cut:]).hits]
    assert replay(whole, batches).hits == sum(hits)


def test_policies_are_made_by_name() -> None:
    assert type(make_policy("lfu", 3)) is LFU
    assert make_policy("fifo", 3, mixed_sizes).fits(1)
    with pytest.raises(ValueError, match="next_use"):
        make_policy("belady", 3)
    with pytest.raises(InputError, match=r"policy: unknown eviction policy \(got 'mru'\); use lru, lfu"):
        make_policy("mru", 3)
