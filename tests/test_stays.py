from __future__ import annotations

from sim.program import Program, default_lanes
from sim.schedule import Phase, Reason
from sim.stays import stays
from sim.timeline import Timeline
from tests.hand_work import timed
from tests.machines import BF16, tiny_model

Stay = tuple[int, int, float, float, float]  # block, expert, asked for, whole, until


def program(*start: tuple[int, int], n_slots: int = 2) -> Program:
    p = Program(tiny_model(), BF16, default_lanes(), n_slots=n_slots, start_slots=start)
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    return p


def of(timeline: Timeline) -> list[Stay]:
    return list(zip(*(column.tolist() for column in stays(timeline)), strict=True))


def test_weights_stay_from_their_load_to_the_next_load_into_the_slot() -> None:
    """Loads take 10 s; the second waits for the slot of the first, which 5 s of software keep."""
    p = program(n_slots=1)
    p.load(0, 0)
    p.drop(0, 0)
    p.load(1, 3, after=[p.software(15.0)])
    p.software(25.0)
    assert of(timed(p.schedule())) == [(0, 0, 0.0, 10.0, 15.0), (1, 3, 15.0, 25.0, 40.0)]


def test_what_slots_hold_from_the_start_is_there_at_once() -> None:
    p = program((0, 0), (1, 2))
    p.software(20.0)
    assert of(timed(p.schedule())) == [(0, 0, 0.0, 0.0, 20.0), (1, 2, 0.0, 0.0, 20.0)]


def test_weights_that_are_copied_back_stay_until_the_copy_has_ended() -> None:
    p = program((0, 0))
    p.unload(0, 0)
    p.software(40.0)
    assert of(timed(p.schedule())) == [(0, 0, 0.0, 0.0, 10.0)]


def test_they_stay_longer_if_an_expert_reads_them_still() -> None:
    p = program((0, 0))
    p.unload(0, 0, keep=True)
    p.expert(0, 0, 1, after=[p.software(15.0)])
    p.drop(0, 0)
    p.software(40.0)
    assert of(timed(p.schedule())) == [(0, 0, 0.0, 0.0, 16.0)]


def test_a_cancelled_load_changes_nothing() -> None:
    """The second load would follow the first at 10 s, but is cancelled at 5 s."""
    p = program((0, 0), n_slots=2)
    p.load(0, 1)
    p.drop(0, 0)
    second = p.load(0, 2, reason=Reason.PREFETCH)
    p.software(5.0)
    p.cancel(second)
    p.software(15.0)
    assert of(timed(p.schedule())) == [(0, 0, 0.0, 0.0, 20.0), (0, 1, 0.0, 10.0, 20.0)]


def test_a_run_without_slots_has_none() -> None:
    p = program(n_slots=0)
    p.software(5.0)
    assert of(timed(p.schedule())) == []
