from __future__ import annotations

from typing import Any

import pytest

from hwexec.needs import host_pool, memory_items, needs_of
from sim.errors import DoesNotFit
from sim.program import CPU, D2H, Program, default_lanes
from sim.schedule import Phase, Schedule
from tests.hardware import FP32, small_model


def program(**changes: Any) -> Program:
    p = Program(small_model(**changes), FP32, default_lanes(), n_slots=2, start_slots=[(1, 0)])
    p.begin_step(Phase.PREFILL, 0, sequences=2, tokens=10, context=5)
    return p


def mixed() -> Schedule:
    p = program()
    p.attention(1)
    p.expert(1, 0, 3)
    p.load(2, 3)
    p.expert(2, 1, 1, on=CPU, after=[p.send(D2H, 7)])
    p.shared(0)
    p.head()
    p.begin_step(Phase.DECODE, 0, sequences=2, tokens=2, context=9)
    p.attention(1)
    return p.schedule()


def test_only_what_is_touched_is_needed() -> None:
    needs = needs_of(mixed())
    assert needs.host_experts == ((2, 1), (2, 3))
    assert needs.gpu_blocks == (0, 1)
    assert needs.host_blocks == ()
    assert needs.cache_entries == {1: 18}
    assert needs.staging_bytes == 7 * 32 * 4
    assert needs.stored_bytes == 0


def test_blocks_that_stream_are_needed_on_both_sides_and_reads_from_storage_as_bytes() -> None:
    p = program()
    p.load_block(2)
    p.read(1, 2)
    needs = needs_of(p.schedule())
    assert needs.host_blocks == needs.gpu_blocks == (2,)
    assert needs.host_experts == ((1, 2),)
    assert needs.stored_bytes == small_model().expert_bytes("fp32")


def test_a_pool_smaller_than_the_model_is_used_where_memory_is_short() -> None:
    schedule = mixed()
    needs, each = needs_of(schedule), small_model().expert_bytes("fp32")
    rest = sum(memory_items(schedule, needs).values())
    assert host_pool(schedule, needs, memory_items(schedule, needs), rest + 10 * each, least=1) == 2
    assert host_pool(schedule, needs, memory_items(schedule, needs), rest + each, least=1) == 1


@pytest.mark.parametrize("short", [1, 10**9])
def test_what_does_not_fit_is_refused_with_the_sum(short: int) -> None:
    schedule = mixed()
    needs = needs_of(schedule)
    enough = sum(memory_items(schedule, needs).values()) + 2 * small_model().expert_bytes("fp32")
    host_pool(schedule, needs, memory_items(schedule, needs), enough, least=2)
    with pytest.raises(DoesNotFit, match=r"expert slots .* \+ blocks .* \+ host experts .* = .* GB > "):
        host_pool(schedule, needs, memory_items(schedule, needs), max(0, enough - short), least=2)
