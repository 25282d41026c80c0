from __future__ import annotations

import numpy as np
import pytest

from sim.clock import SimulatedClock
from sim.cost import costs_of
from sim.engine import simulate
from sim.errors import ScheduleError
from sim.precision import PRECISIONS, Precisions
from sim.program import CPU, D2H, GPU, H2D, HOST_LANE, STORAGE, WORKER, Program, default_lanes
from sim.schedule import Phase, Reason, Schedule
from sim.slots import Key
from tests.listing import lines, listing
from tests.machines import BF16, tiny_costs, tiny_machine, tiny_model


def program(*, n_slots: int = 2, start: tuple[Key, ...] = ((0, 0),), step: bool = True) -> Program:
    p = Program(tiny_model(), BF16, default_lanes(), n_slots=n_slots, start_slots=start)
    if step:
        p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=5)
    return p


def deps(schedule: Schedule, op: int) -> set[int]:
    return set(schedule.ops.dependencies(op).tolist())


def test_the_data_flow_of_a_block_is_added_by_itself() -> None:
    p = program()
    p.attention(0)
    gate = p.gate(0)
    p.wait(gate)
    load = p.load(0, 1)
    resident = p.expert(0, 0, 1, after=[gate])
    loaded = p.expert(0, 1, 1, after=[gate], reason=Reason.DEMAND)
    assert p.hidden == 0
    p.combine(0, after=[resident, loaded])
    p.attention(1)
    p.head()
    assert load == 3
    assert listing(p.schedule()) == lines("""
        0 attention gpu0 0 1t
        1 gate gpu0 0 1t after 0
        2 wait host after 1
        3 load gpu0.h2d 0/1 demand slot1 400B
        4 expert gpu0 0/0 hit slot0 1t after 1
        5 expert gpu0 0/1 demand slot1 1t after 1 3
        6 combine gpu0 0 1t after 4 5
        7 attention gpu0 1 1t after 6
        8 head gpu0 1 1t after 7
    """)


def test_a_load_follows_the_last_reader_of_the_slot_that_it_overwrites() -> None:
    p = program(n_slots=1)
    read = p.expert(0, 0, 1)
    p.drop(0, 0)
    load = p.load(0, 1)
    assert deps(p.schedule(), load) == {read}


def test_an_unload_follows_the_load_and_holds_the_slot_until_it_has_ended() -> None:
    p = program(n_slots=1)
    p.drop(0, 0)
    load = p.load(0, 1)
    unload = p.unload(0, 1)
    next_load = p.load(0, 2)
    schedule = p.schedule()
    assert deps(schedule, unload) == {load}
    assert unload in deps(schedule, next_load)


def test_a_load_after_a_cancelled_load_still_respects_the_slots_last_reader() -> None:
    p = Program(tiny_model(), BF16, default_lanes(), n_slots=1, start_slots=[(0, 0)])
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=5)
    read = p.expert(0, 0, 1)
    p.drop(0, 0)
    p.cancel(p.load(0, 1))
    p.drop(0, 1)
    load = p.load(0, 2)
    schedule = p.schedule()
    times = simulate(schedule, costs_of(schedule, tiny_machine())).times
    assert times.start_s[load] >= times.end_s[read] == 1.0


def test_gpu_compute_may_be_held_back_once() -> None:
    p = program()
    block = p.load_block(0)
    p.hold_back(block)
    p.attention(0)
    p.gate(0)
    schedule = p.schedule()
    assert deps(schedule, 1) == {block}
    assert deps(schedule, 2) == {1}


def test_a_decode_step_continues_from_the_last_token_and_a_prefill_starts_afresh() -> None:
    p = program()
    p.attention(0)
    head = p.head()
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=6)
    follows = p.attention(0)
    p.begin_step(Phase.PREFILL, 1, sequences=1, tokens=4, context=4)
    fresh = p.attention(0)
    schedule = p.schedule()
    assert deps(schedule, follows) == {head}
    assert deps(schedule, fresh) == set()
    assert [(s.phase, s.batch, s.sequences, s.tokens, s.first_op) for s in schedule.steps] == [
        (Phase.DECODE, 0, 1, 1, 0), (Phase.DECODE, 0, 1, 1, 2), (Phase.PREFILL, 1, 1, 4, 3)
    ]  # fmt: skip
    assert schedule.ops.step.tolist() == [0, 0, 1, 2]


def test_every_verb_puts_its_op_on_its_lane_with_its_sizes() -> None:
    p = Program(tiny_model(), Precisions("int8", "fp32", "bf16"), default_lanes(), n_slots=1)
    p.begin_step(Phase.PREFILL, 0, sequences=2, tokens=6, context=3)
    p.attention(1)
    p.shared(1)
    p.load(1, 3, reason=Reason.PREFETCH, priority=2)
    p.unload(1, 3)
    p.expert(1, 2, 4, on=CPU, reason=Reason.OFFLOAD)
    p.send(D2H, 3, layer=1)
    p.send(H2D, 3, layer=1, priority=-1)
    p.read(1, 0)
    p.software(0.25, lane=WORKER)
    p.load_block(0)
    p.head()
    schedule = p.schedule()
    block_bytes = tiny_model().layer_bytes(0, "fp32")
    assert [line.split(" after")[0] for line in listing(schedule)] == lines(f"""
        0 attention gpu0 1 6t
        1 expert gpu0 1 6t
        2 load gpu0.h2d 1/3 prefetch slot0 200B p2
        3 unload gpu0.d2h 1/3 swap slot0 200B
        4 expert cpu 1/2 offload 4t
        5 send gpu0.d2h 1 offload 3t 120B     # 3 tokens × 10 × 4 bytes in fp32
        6 send gpu0.h2d 1 offload 3t 120B p-1
        7 read storage 1/0 demand 200B
        8 software worker bookkeeping
        9 load gpu0.h2d 0 stream {block_bytes}B
        10 head gpu0 1 2t                     # one token a sequence
    """)
    assert schedule.ops.context.tolist() == [3] + [0] * 10
    assert schedule.ops.stated_s[8] == 0.25
    assert np.isnan(np.delete(schedule.ops.stated_s, 8)).all()
    names = [list(PRECISIONS)[code] for code in schedule.ops.precision[:6]]
    assert names == ["fp32", "fp32", "int8", "int8", "int8", "fp32"]


def test_resident_means_in_a_slot_or_on_the_way() -> None:
    p = program(n_slots=2)
    p.load(0, 3)
    assert [p.resident(0, expert) for expert in range(4)] == [True, False, False, True]
    p.drop(0, 3)
    p.unload(0, 0)
    assert not p.resident(0, 3)
    assert not p.resident(0, 0)


def test_an_expert_without_weights_on_the_gpu_is_refused() -> None:
    with pytest.raises(ScheduleError, match=r"expert \(0, 3\) is in no slot: load it first"):
        program().expert(0, 3, 1)


def test_an_expert_on_the_cpu_needs_no_slot() -> None:
    p = program(n_slots=0, start=())
    p.expert(0, 3, 1, on=CPU)
    assert listing(p.schedule()) == ["0 expert cpu 0/3 hit 1t"]


def test_schedules_of_blocks_equal_schedules_at_once() -> None:
    """Asking the clock takes ops out in pieces: the schedule must not show it."""
    costs = tiny_costs()
    asked, silent = (
        Program(tiny_model(), BF16, default_lanes(), n_slots=2, clock=SimulatedClock(default_lanes(), costs))
        for _ in range(2)
    )
    for p in (asked, silent):
        p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=5)
        for expert in range(2):
            load = p.load(0, expert)
            if p is asked:
                p.done(load)
                p.now()
            p.expert(0, expert, 1)
    assert listing(asked.schedule()) == listing(silent.schedule())


def test_lanes_are_told_by_name() -> None:
    p = program()
    p.wait(p.attention(0), p.load(0, 1))
    assert [p.lanes[lane].name for lane in p.schedule().ops.lane] == [GPU, H2D, HOST_LANE]
    assert STORAGE in {lane.name for lane in p.lanes}


def test_uploads_queue_by_priority_only_if_asked() -> None:
    assert {lane.name: lane.discipline for lane in default_lanes(copy_priority=True)}[H2D] == "priority"
    assert {lane.discipline for lane in default_lanes()} == {"fifo"}


def test_a_program_without_ops_is_a_valid_schedule() -> None:
    schedule = program(step=False).schedule(strategy="none")
    schedule.validate()
    assert (len(schedule), schedule.steps, schedule.n_slots, schedule.start_slots) == (0, (), 2, ((0, 0),))
    assert schedule.meta == {"strategy": "none"}
