from __future__ import annotations

import pytest

from sim.program import Program, default_lanes
from sim.resident import ExpertCache
from sim.schedule import Phase
from sim.slots import Key
from tests.listing import lines, listing
from tests.machines import BF16, tiny_model

A, B, C, D, E = (0, 0), (0, 1), (0, 2), (1, 0), (1, 1)


def program(start: list[Key], n_slots: int) -> Program:
    p = Program(tiny_model(), BF16, default_lanes(), n_slots=n_slots, start_slots=start)
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    return p


@pytest.mark.parametrize(("n_slots", "shares"), [(0, (0, 0)), (1, (1, 0)), (4, (2, 2)), (5, (3, 2)), (8, (4, 4))])
def test_blocks_share_the_slots_equally(n_slots: int, shares: tuple[int, int]) -> None:
    everyone = [(layer, expert) for layer in (0, 1) for expert in range(4)]
    kept = ExpertCache("lru", [0, 1], n_slots).warm(everyone)
    assert tuple(sum(layer == block for layer, _ in kept) for block in (0, 1)) == shares


def test_a_global_cache_is_filled_whatever_the_block() -> None:
    assert ExpertCache("lru", [0, 1], 3, scope="global").warm([A, B, C, D]) == [A, B, C]


@pytest.mark.parametrize("policy", ["lru", "fifo", "lfu"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_of_what_a_cache_starts_with_the_least_wanted_leaves_first(policy: str, scope: str) -> None:
    cache = ExpertCache(policy, [0], 3, scope=scope)
    p = program(cache.warm([A, B, C, (0, 3)]), n_slots=4)
    cache.admit(p, (0, 3), protected=())
    assert [key in cache for key in (A, B, C, (0, 3))] == [True, True, False, True]


def test_admitting_with_room_is_just_a_load() -> None:
    cache = ExpertCache("lru", [0, 1], 4)
    p = program(cache.warm([A]), n_slots=4)
    assert cache.admit(p, B, protected=[A]) == 0
    assert B in cache
    assert listing(p.schedule()) == ["0 load gpu0.h2d 0/1 demand slot1 400B"]


def test_admitting_into_a_full_cache_drops_the_victim() -> None:
    cache = ExpertCache("lru", [0, 1], 4)
    p = program(cache.warm([A, B, D, E]), n_slots=5)
    cache.touch([B])
    cache.admit(p, C, protected=())
    assert [key in cache for key in (A, B, C)] == [False, True, True]
    assert listing(p.schedule()) == ["0 load gpu0.h2d 0/2 demand slot4 400B"]  # the spare slot is free at once
    assert not p.resident(*A)


def test_swapping_copies_the_victim_back_first() -> None:
    cache = ExpertCache("lru", [0, 1], 2)
    p = program(cache.warm([A, D]), n_slots=3)
    cache.admit(p, C, protected=(), swap=True)
    cache.admit(p, B, protected=(), swap=True)
    assert listing(p.schedule()) == lines("""
        0 unload gpu0.d2h 0/0 swap slot0 400B
        1 load gpu0.h2d 0/2 demand slot2 400B
        2 unload gpu0.d2h 0/2 swap slot2 400B after 1
        3 load gpu0.h2d 0/1 demand slot0 400B after 0
    """)


def test_a_full_cache_of_protected_experts_admits_nobody() -> None:
    cache = ExpertCache("lru", [0, 1], 2)
    p = program(cache.warm([A, D]), n_slots=3)
    assert cache.admit(p, B, protected={A}) is None
    assert B not in cache
    assert A in cache
    assert len(p) == 0


def test_a_cache_without_slots_admits_nobody() -> None:
    p = program([], n_slots=1)
    assert ExpertCache("lru", [0, 1], 0).admit(p, A, protected=()) is None
    assert ExpertCache("lru", [0, 1], 1).admit(p, D, protected=()) is None, "the only slot belongs to the first block"
    assert len(p) == 0


def test_a_block_never_evicts_another_blocks_experts_unless_the_cache_is_global() -> None:
    for scope, victim in (("layer", A), ("global", D)):
        cache = ExpertCache("lru", [0, 1], 2, scope=scope)
        p = program(cache.warm([A, D]), n_slots=3)
        cache.touch([A])
        cache.admit(p, B, protected=())
        assert victim not in cache
        assert len([key for key in (A, B, D) if key in cache]) == 2
