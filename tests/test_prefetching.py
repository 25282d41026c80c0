from __future__ import annotations

from sim.clock import SimulatedClock
from sim.cost import costs_of
from sim.engine import simulate
from sim.parts.prefetching import PrefetchQueue
from sim.parts.scored import ScoredCache
from sim.program import Program, default_lanes
from sim.schedule import Phase
from tests.machines import BF16, busy_machine, tiny_costs, tiny_model

START = [(0, 0), (0, 1), (0, 2)]
COMING = [((1, 1), (0, 0)), ((1, 2), (0, 1)), ((1, 3), (0, 2))]


def queued() -> tuple[Program, ScoredCache, PrefetchQueue]:
    """Three prefetches for the places of three experts, on a link that takes 10 s for each."""
    lanes = default_lanes(copy_priority=True)
    clock = SimulatedClock(lanes, tiny_costs(machine=busy_machine()))
    p = Program(tiny_model(), BF16, lanes, n_slots=3, start_slots=START, clock=clock)
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    cache = ScoredCache(tiny_model(), START)
    prefetches = PrefetchQueue(cache)
    for exchange in COMING:
        prefetches.add(p, exchange)
    return p, cache, prefetches


def held(cache: ScoredCache) -> list[tuple[int, int]]:
    return [(layer, expert) for layer in range(2) for expert in range(4) if (layer, expert) in cache]


def test_what_has_begun_is_cached_and_the_rest_still_waits() -> None:
    p, cache, prefetches = queued()
    assert held(cache) == []
    assert prefetches.waiting == COMING
    prefetches.take_begun(p)
    assert held(cache) == [(1, 1)]
    assert prefetches.waiting == COMING[1:]


def test_what_is_withdrawn_gives_its_place_back_and_what_has_begun_does_not() -> None:
    p, cache, prefetches = queued()
    prefetches.withdraw(p)
    assert (prefetches.waiting, len(prefetches)) == ([], 0)
    assert held(cache) == [(0, 1), (0, 2), (1, 1)]
    assert [key for key in [*START, (1, 1), (1, 2), (1, 3)] if p.resident(*key)] == held(cache)
    prefetches.add(p, COMING[2])
    assert prefetches.waiting == COMING[2:]
    schedule = p.schedule()
    ran = ~simulate(schedule, costs_of(schedule, busy_machine())).times.cancelled
    assert schedule.ops.expert[ran & (schedule.ops.size_bytes > 0)].tolist() == [1, 3]


def test_a_prefetch_into_a_free_slot_leaves_it_free_when_withdrawn() -> None:
    p, cache, prefetches = queued()
    prefetches.withdraw(p)
    p.drop(0, 2)
    cache.leave((0, 2))
    prefetches.add(p, ((1, 3), None))
    prefetches.withdraw(p)
    assert p.slots.free == 1
    assert held(cache) == [(0, 1), (1, 1)]


def test_the_first_use_of_what_a_prefetch_brought_is_told_once() -> None:
    p, _, prefetches = queued()
    assert not prefetches.first_use((1, 1)), "still waiting, as far as is known"
    prefetches.take_begun(p)
    assert prefetches.first_use((1, 1))
    assert not prefetches.first_use((1, 1))
    assert not prefetches.first_use((0, 0))
