"""Every policy alone: one contract for all, and an independent implementation of each."""

from __future__ import annotations

from collections.abc import Callable

import cachetools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cache import ONLINE, make_policy, replay
from sim.errors import ScheduleError
from sim.policies import LFU, LRU, NEVER, Belady, FutureIndex
from sim.policy import Policy

Batches = list[list[int]]
SizeOf = Callable[[int], int] | None

BUILD: dict[str, Callable[[int, Batches, SizeOf], Policy[int]]] = {
    **{name: lambda capacity, _, size_of, name=name: make_policy(name, capacity, size_of) for name in ONLINE},
    "lfu-forgetting": lambda capacity, _, size_of: LFU(capacity, size_of, counts_survive=False),
    "belady": lambda capacity, batches, size_of: Belady(capacity, FutureIndex(batches).next_use, size_of),
}
every_policy = pytest.mark.parametrize("name", BUILD)

keys = st.integers(0, 9)
any_batches = st.lists(st.lists(keys, max_size=6), max_size=40)


def mixed_sizes(key: int) -> int:
    return 1 + key % 3


def last_places(batch: list[int]) -> list[int]:
    return sorted(set(batch), key=lambda key: len(batch) - batch[::-1].index(key))


@every_policy
@pytest.mark.parametrize("size_of", [None, mixed_sizes])
@given(capacity=st.integers(0, 8), batches=any_batches)
def test_every_policy_keeps_the_contract(name: str, size_of: SizeOf, capacity: int, batches: Batches) -> None:
    policy, twin = (BUILD[name](capacity, batches, size_of) for _ in range(2))
    resident: set[int] = set()
    hits = misses = evictions = 0
    for now, batch in enumerate(batches):
        policy.now = now
        for key in last_places(batch):
            if key in resident:
                policy.touch(key)
                hits += 1
                continue
            misses += 1
            while not policy.fits(key) and resident:
                victim = policy.victim(batch, entering=key)
                assert victim == policy.victim(set(batch), entering=key), "asking must not change the answer"
                if victim is None:
                    assert resident <= set(batch), "only a fully protected cache has no victim"
                    break
                assert victim in resident
                assert victim not in batch
                policy.remove(victim)
                resident.remove(victim)
                evictions += 1
            if policy.fits(key):
                policy.insert(key)
                resident.add(key)
            assert set(policy) == resident
            assert all(policy.contains(key) and key in policy for key in resident)
            assert len(policy) == len(resident)
            assert policy.used == sum((size_of or (lambda _: 1))(key) for key in resident) <= capacity
    counted = replay(twin, batches)
    assert (counted.hits, counted.misses, counted.evictions) == (hits, misses, evictions)
    assert counted.accesses == sum(len(set(batch)) for batch in batches)
    assert list(twin) == list(policy)


@every_policy
def test_misuse_is_refused(name: str) -> None:
    policy = BUILD[name](2, [[1], [2], [3]], None)
    with pytest.raises(ScheduleError, match="empty cache"):
        policy.victim()
    policy.insert(1)
    with pytest.raises(ScheduleError, match="1 was inserted but is in the cache"):
        policy.insert(1)
    policy.insert(2)
    with pytest.raises(ScheduleError, match="3 of size 1 does not fit: 2 of 2 used"):
        policy.insert(3)
    with pytest.raises(ScheduleError, match="3 was touched but is not in the cache"):
        policy.touch(3)
    with pytest.raises(ScheduleError, match="3 was removed but is not in the cache"):
        policy.remove(3)
    assert set(policy) == {1, 2}, "a refused call changes nothing"


def test_negative_capacity_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="capacity must not be negative"):
        LRU[int](-1)
    with pytest.raises(ValueError, match="size of 7 must not be negative"):
        LRU[int](4, lambda _: -1).insert(7)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("lru", cachetools.LRUCache),
        ("fifo", cachetools.FIFOCache),
        ("lfu-forgetting", cachetools.LFUCache),
    ],
)
@given(capacity=st.integers(3, 10), accesses=st.lists(keys, max_size=150))
def test_contents_equal_those_of_cachetools(
    name: str, theirs: type[cachetools.Cache[int, int]], capacity: int, accesses: list[int]
) -> None:
    ours, other = BUILD[name](capacity, [], mixed_sizes), theirs(capacity, getsizeof=mixed_sizes)
    for key in accesses:
        hit = key in other
        if hit:
            other[key]
        else:
            other[key] = key
        assert replay(ours, [[key]]).hits == hit
        assert set(ours) == set(other)


def test_lfu_counts_survive_eviction_unless_told_otherwise() -> None:
    kept, forgotten = LFU[int](2), LFU[int](2, counts_survive=False)
    for policy in (kept, forgotten):
        replay(policy, [[1], [1], [2], [3], [2], [3]])  # the second 2 evicts 3, and the second 3 evicts
    assert set(kept) == {2, 3}, "1, by recency: it has two uses, as 2 has"
    assert set(forgotten) == {1, 3}, "2: it has one use since it came back"


def test_future_index_finds_the_next_batch_that_uses_a_key() -> None:
    future = FutureIndex([[1, 2], [2], [], [1, 1]])
    assert [future.next_use(1, now) for now in range(-1, 4)] == [0, 3, 3, 3, NEVER]
    assert future.next_use(7, 0) == NEVER
