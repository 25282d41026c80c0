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
