from __future__ import annotations

import pytest

from sim.errors import ScheduleError
from sim.slots import Slots

A, B, C = (0, 1), (0, 2), (1, 0)
GPU, H2D, D2H = 1, 2, 3  # lanes


def test_experts_that_start_on_the_gpu_fill_the_first_slots_and_need_no_load() -> None:
    slots = Slots(3, [A, B])
    assert (A in slots, C in slots, len(slots), slots.free) == (True, False, 2, 1)
    assert slots.source(A) == ()
    assert [slots.use(key, 7, GPU) for key in (A, B)] == [0, 1]


def test_the_slot_that_has_been_free_longest_is_filled_next() -> None:
    slots = Slots(3, [A, B])
    slots.give_up(B)  # queue: 2, 1
    slots.give_up(A)  # queue: 2, 1, 0
    assert [slots.take(key)[0] for key in (C, (1, 1), (1, 2))] == [2, 1, 0]


def test_a_slot_is_refilled_only_after_its_last_user_on_every_lane() -> None:
    slots = Slots(1, [A])
    slots.use(A, 3, GPU)
    slots.use(A, 5, GPU)
    slots.use(A, 6, D2H)
    slots.give_up(A)
    assert sorted(slots.take(B)[1]) == [5, 6]


def test_an_unread_slot_is_refilled_after_the_load_that_filled_it() -> None:
    slots = Slots(1)
    slots.take(A)
    slots.fill(A, 2, H2D)
    slots.give_up(A)
    assert slots.take(B)[1] == [2]


def test_readers_of_an_earlier_expert_still_count_after_a_load_that_may_be_cancelled() -> None:
    slots = Slots(1, [A])
    slots.use(A, 3, GPU)
    slots.give_up(A)
    slots.take(B)
    slots.fill(B, 4, H2D)
    slots.give_up(B)
    assert 3 in slots.take(C)[1], "were op 4 cancelled, nothing else would protect the weights that op 3 reads"


def test_source_is_the_load_that_brings_the_weights() -> None:
    slots = Slots(1, [A])
    slots.give_up(A)
    slots.take(B)
    slots.fill(B, 9, H2D)
    assert slots.source(B) == (9,)
    slots.give_up(B)
    slots.take(A)
    slots.fill(A, 12, H2D)
    assert slots.source(A) == (12,)


def test_a_load_that_may_be_cancelled_does_not_hide_the_one_before_it() -> None:
    """Op 2 still fills the slot when op 4, queued behind it, is cancelled: op 5 has to wait for both."""
    slots = Slots(1)
    slots.take(A)
    slots.fill(A, 2, H2D)
    slots.give_up(A)
    slots.take(B)
    slots.fill(B, 4, H2D)
    slots.doubt(4)
    slots.give_up(B)
    assert slots.take(C)[1] == [2, 4]


def test_a_withdrawn_load_leaves_its_slot_first_in_the_queue_and_as_it_was() -> None:
    slots = Slots(3, [A])
    slots.use(A, 3, GPU)
    slots.take(B)
    slots.fill(B, 4, H2D)
    slots.give_up(B)  # queue: 2, 1
    slots.take(C)
    slots.fill(C, 5, H2D)
    slots.doubt(5)
    slots.undo(5)  # queue: 2, 1
    assert (C in slots, slots.free, slots.take(C)) == (False, 2, (2, []))
    slots.fill(C, 6, H2D)
    assert slots.reclaim(B)
    assert slots.source(B) == (4,)
    slots.give_up(B)
    assert slots.take((1, 1)) == (1, [4])


def test_weights_can_be_taken_back_until_their_slot_is_promised_to_others() -> None:
    slots = Slots(2, [A, B])
    slots.give_up(A)
    slots.give_up(B)
    assert slots.reclaim(A)
    assert not slots.reclaim(A), "it is in a slot"
    assert not slots.reclaim(C), "it never was in one"
    slots.take(C)
    slots.fill(C, 7, H2D)
    assert not slots.reclaim(B)


def test_only_the_last_load_into_a_slot_that_nobody_reads_can_be_undone() -> None:
    slots = Slots(1)
    slots.take(A)
    slots.fill(A, 2, H2D)
    with pytest.raises(ScheduleError, match="op 3 is not the load of an expert that has its slot still"):
        slots.undo(3)
    slots.use(A, 9, GPU)
    with pytest.raises(ScheduleError, match="op 9 reads the weights that op 2 was withdrawn from bringing"):
        slots.undo(2)
    slots.give_up(A)
    with pytest.raises(ScheduleError, match="op 2 is not the load"):
        slots.undo(2)


def test_more_experts_than_slots_cannot_start() -> None:
    with pytest.raises(ScheduleError, match=r"2 experts cannot start in 1 slots: \(0, 2\)"):
        Slots(1, [A, B])
    with pytest.raises(ScheduleError, match="cannot start"):
        Slots(2, [A, A])


def test_misuse_is_refused() -> None:
    slots = Slots(1, [A])
    with pytest.raises(ScheduleError, match=r"expert \(0, 1\) is in a slot already"):
        slots.take(A)
    with pytest.raises(ScheduleError, match=r"no slot is free for expert \(0, 2\)"):
        slots.take(B)
    with pytest.raises(ScheduleError, match=r"expert \(0, 2\) is in no slot: load it first"):
        slots.source(B)
    with pytest.raises(ScheduleError, match=r"expert \(0, 2\) is in no slot and cannot be dropped"):
        slots.give_up(B)
