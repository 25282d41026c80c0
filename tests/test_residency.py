from __future__ import annotations

from sim.program import Program, default_lanes
from sim.residency import Residency, residency
from sim.schedule import Phase
from tests.hand_work import plan_tiny, timed
from tests.listing import trace_of
from tests.machines import BF16, EXPERT_BYTES, tiny_model


def program(*start: tuple[int, int]) -> Program:
    p = Program(tiny_model(), BF16, default_lanes(), n_slots=4, start_slots=start)
    p.begin_step(Phase.PREFILL, 0, sequences=1, tokens=1, context=1)
    return p


def of(p: Program) -> Residency:
    return residency(timed(p.schedule()))


def test_an_expert_counts_from_the_start_of_its_load_to_the_end_of_its_copy_back() -> None:
    """0 to 20 s of 40: loads and copies take 10 s; nothing else is there."""
    p = program()
    p.load(0, 0)
    back = p.unload(0, 0)
    p.software(20.0, after=[back])
    assert of(p) == Residency(peak=1, mean=20 / 40, expert_bytes=EXPERT_BYTES)


def test_those_that_were_there_from_the_start_count_from_the_start() -> None:
    p = program((0, 0), (0, 1))
    p.unload(0, 0)
    p.software(40.0)
    assert of(p) == Residency(peak=2, mean=(10 + 40) / 40, expert_bytes=EXPERT_BYTES)


def test_one_that_is_forgotten_counts_until_its_slot_is_filled_anew() -> None:
    p = program((0, 0), (0, 1), (0, 2), (0, 3))
    p.drop(0, 0)
    used = p.software(10.0)
    p.load(1, 0, after=[used])
    assert of(p) == Residency(peak=4, mean=4.0, expert_bytes=EXPERT_BYTES)


def test_one_that_comes_when_another_has_gone_takes_no_more_than_that_did() -> None:
    p = program()
    p.load(0, 0)
    p.load(0, 1, after=[p.unload(0, 0)])
    assert of(p).peak == 1


def test_bytes_are_those_of_so_many_experts() -> None:
    run = residency(timed(plan_tiny("all-resident", trace_of([[0, 2], [3, 1]]), 8)))
    assert (run.peak_bytes, run.mean_bytes) == (8 * EXPERT_BYTES, 8 * EXPERT_BYTES)


def test_a_run_of_nothing_keeps_nothing() -> None:
    assert of(program()) == Residency(peak=0, mean=0.0, expert_bytes=EXPERT_BYTES)
