from __future__ import annotations

import pytest

from sim.parts.resident import ExpertCache
from sim.program import Program, default_lanes
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


@pytest.mark.parametrize("swap", [False, True])
def test_what_is_taken_out_makes_room_and_is_copied_back_if_asked(swap: bool) -> None:
    cache = ExpertCache("fifo", [0, 1], 2, scope="global")
    p = program(cache.warm([A, B]), n_slots=2)
    follows = p.software(1.0)
    assert not cache.room(0)
    assert cache.evict(p, A, swap=swap, after=[follows]) == (1 if swap else None)
    assert cache.room(0)
    assert A not in cache
    assert listing(p.schedule())[1:] == lines("1 unload gpu0.d2h 0/0 swap slot0 400B after 0" if swap else "")


def test_gate_weights_decide_who_leaves_where_the_policy_wants_them() -> None:
    for weights, left in ({A: 0.9, B: 0.1}, B), ({A: 0.1, B: 0.9}, A):
        cache = ExpertCache("mrs", [0], 2)
        p = program(cache.warm([A, B]), n_slots=3)
        cache.touch([A, B], weights)
        cache.admit(p, C, protected=(), weight=0.5)
        assert left not in cache
        assert C in cache


def test_every_layer_s_turn_is_one_visit() -> None:
    """Two uses in one turn decay nothing; over two turns the first is worth half."""
    cache = ExpertCache("mrs", [0, 1], 4, scope="global")
    p = program(cache.warm([A, B, D]), n_slots=5)
    cache.touch([A], {A: 0.6})
    cache.touch([D], {D: 0.1})
    cache.touch([B], {B: 0.4})
    cache.admit(p, E, protected=())
    cache.admit(p, C, protected=[D, E])
    assert A not in cache, "0.6 in the turn before last is less than 0.4 in the last"
    assert B in cache
