from __future__ import annotations

from sim.parts.load_ahead import LoadQueue
from sim.parts.resident import ExpertCache
from sim.program import Program, default_lanes
from sim.schedule import Phase
from tests.listing import lines, listing
from tests.machines import BF16, tiny_model


def begun(capacity: int) -> tuple[Program, ExpertCache, LoadQueue]:
    p = Program(tiny_model(), BF16, default_lanes(), n_slots=capacity)
    p.begin_step(Phase.PREFILL, 0, sequences=1, tokens=1, context=1)
    cache = ExpertCache("fifo", (0, 1), capacity, scope="global")
    return p, cache, LoadQueue(cache, swap=False)


def test_loads_go_in_the_order_of_asking_and_follow_what_they_were_told_to() -> None:
    p, _, queue = begun(3)
    first, second = p.software(1.0), p.software(1.0)
    queue.ask(0, [(0, 2), (0, 1)], [first])
    queue.ask(0, [(1, 0)], [second])
    assert queue.load(p, 0, -1, set()) == [(0, 2), (0, 1), (1, 0)]
    assert listing(p.schedule())[2:] == lines("""
        2 load gpu0.h2d 0/2 prefetch slot0 400B p1 after 0
        3 load gpu0.h2d 0/1 prefetch slot1 400B p1 after 0
        4 load gpu0.h2d 1/0 prefetch slot2 400B p1 after 1
    """)


def test_for_the_present_pass_what_it_has_done_with_leaves_oldest_first() -> None:
    p, cache, queue = begun(2)
    queue.ask(0, [(0, 0), (0, 1), (1, 0)], [])
    assert queue.load(p, 0, -1, {(0, 0), (0, 1), (1, 0)}) == [(0, 0), (0, 1)]
    assert queue.load(p, 0, 0, {(1, 0)}) == [(1, 0)]
    assert ((0, 0) in cache, (0, 1) in cache) == (False, True)


def test_for_the_next_pass_nothing_leaves_and_who_finds_no_room_holds_up_the_others() -> None:
    p, cache, queue = begun(2)
    queue.ask(0, [(0, 0), (0, 1)], [])
    queue.load(p, 0, -1, set())
    queue.ask(1, [(0, 2), (0, 0)], [])
    assert queue.load(p, 0, 1, set()) == []
    cache.evict(p, (0, 0))
    assert queue.load(p, 0, 1, set()) == [(0, 2)]
    cache.evict(p, (0, 1))
    assert queue.load(p, 0, 1, set()) == [(0, 0)]


def test_what_is_there_or_comes_too_late_is_not_loaded() -> None:
    p, _, queue = begun(4)
    queue.ask(0, [(0, 0), (0, 0), (0, 1), (1, 1)], [])
    assert queue.load(p, 0, 0, set()) == [(1, 1)]
    queue.ask(0, [(1, 2)], [])
    assert queue.load(p, 1, -1, set()) == []
