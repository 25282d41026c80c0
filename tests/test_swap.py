from __future__ import annotations

from sim.parts.swap import Swapper
from sim.program import Program, default_lanes
from sim.schedule import Kind, Phase
from sim.slots import Key
from tests.hand_work import ops_where, timed
from tests.listing import lines, listing
from tests.machines import BF16, link, tiny_machine, tiny_model


def program(*, resident: int, spare: int) -> Program:
    """One block of eight experts, the first of which are on the GPU."""
    start_slots = [(0, e) for e in range(resident)]
    p = Program(
        tiny_model(n_layers=1, n_experts=8), BF16, default_lanes(), n_slots=resident + spare, start_slots=start_slots
    )
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    return p


def swap(p: Program, swapper: Swapper, coming: Key, leaving: Key, *, keep: bool = False) -> tuple[int, int]:
    load = swapper.fetch(p, coming)
    return load, swapper.send_back(p, leaving, load=load, keep=keep)


def test_gpu_slots_and_host_buffers_rotate() -> None:
    """With two spare buffers a side, every third unload writes where the load two swaps before has read from."""
    p, swapper = program(resident=4, spare=2), Swapper(2)
    for coming, leaving in ((4, 0), (5, 1), (6, 2), (7, 3)):
        swap(p, swapper, (0, coming), (0, leaving))
    assert listing(p.schedule()) == lines("""
        0 load gpu0.h2d 0/4 demand slot4 400B
        1 unload gpu0.d2h 0/0 swap slot0 400B
        2 load gpu0.h2d 0/5 demand slot5 400B
        3 unload gpu0.d2h 0/1 swap slot1 400B
        4 load gpu0.h2d 0/6 demand slot0 400B after 1     # the slot that has been free longest
        5 unload gpu0.d2h 0/2 swap slot2 400B after 0     # into the buffer that 0/4 has left
        6 load gpu0.h2d 0/7 demand slot1 400B after 3
        7 unload gpu0.d2h 0/3 swap slot3 400B after 2
    """)


def test_an_expert_comes_back_only_when_all_of_it_has_left() -> None:
    p, swapper = program(resident=1, spare=2), Swapper(2)
    _, unload = swap(p, swapper, (0, 1), (0, 0))
    load, _ = swap(p, swapper, (0, 0), (0, 1))
    slow_down = tiny_machine(links=[link("h2d"), link("d2h", curve={"x": [40, 400], "seconds": [1, 90]})])
    times = timed(p.schedule(), slow_down).times
    assert times.start_s[load] == times.end_s[unload] == 90.0


def test_what_is_fetched_and_dropped_has_taken_nothings_place() -> None:
    """The host keeps its copy, and the next to leave gets the buffer that has been free longest."""
    p, swapper = program(resident=2, spare=2), Swapper(2)
    _, away = swap(p, swapper, (0, 2), (0, 0))
    swapper.fetch(p, (0, 0))
    p.drop(0, 0)
    load, unload = swap(p, swapper, (0, 0), (0, 1))
    schedule = p.schedule()
    assert away in schedule.ops.dependencies(load)
    assert schedule.ops.dependencies(unload).tolist() == [], "the second host buffer was never used"


def test_an_expert_that_leaves_may_still_be_run_until_it_is_dropped() -> None:
    p, swapper = program(resident=1, spare=2), Swapper(2)
    swap(p, swapper, (0, 1), (0, 0), keep=True)
    p.expert(0, 0, 1)
    assert p.slots.free == 1, "its slot is not free yet"
    p.drop(0, 0)
    assert p.slots.free == 2
    swap(p, swapper, (0, 2), (0, 1))
    ops = p.schedule().ops
    last = swap(p, swapper, (0, 3), (0, 2))[0]
    schedule = p.schedule()
    run = ops_where(schedule, kind=Kind.EXPERT)[0]
    assert len(ops) == 5
    assert run in schedule.ops.dependencies(last), "its weights are overwritten only after it has run"
