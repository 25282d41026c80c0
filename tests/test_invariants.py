"""What every strategy's schedule must keep to, whatever its knobs, the model, the batch or the trace."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sim.cost import costs_of
from sim.machine import Machine
from sim.retime import retime
from sim.schedule import HOST, Kind, Phase, Reason, Schedule
from sim.strategies.registry import make_strategy, strategies
from sim.timeline import Timeline
from sim.workload import steps
from tests.conservation import computed, differing, routed
from tests.machines import busy_machine, slow_gpu, stack
from tests.occupancy import most_blocks, slot_faults
from tests.runs import (
    ASKING,
    SETTINGS,
    WHOLE_BLOCKS,
    Case,
    cases_of,
    check_all,
    every_setting,
    lossy,
    name_of,
    planned_and_said,
    run,
    timed,
)


@every_setting
def test_every_routed_token_is_computed_exactly_once(setting: str) -> None:
    where = SETTINGS[setting]
    expected = routed(where.trace(), where.model, where.batch)

    def fault(timeline: Timeline) -> object:
        lossy = "fidelity" in timeline.schedule.meta
        return not lossy and differing(expected, computed(timeline.schedule))

    check_all(setting, fault)


@every_setting
def test_a_strategy_that_changes_routing_computes_exactly_what_it_says_that_it_ran(setting: str) -> None:
    faults = {}
    for case in filter(lossy, cases_of(setting)):
        schedule, said = planned_and_said(case, SETTINGS[setting])
        faults[name_of(case)] = differing(said, computed(schedule))
    assert faults
    assert not any(faults.values())


@every_setting
def test_the_models_own_work_is_done_once_a_step_and_block(setting: str) -> None:
    model = SETTINGS[setting].model
    passes = list(steps(SETTINGS[setting].trace(), SETTINGS[setting].batch))
    expected: Counter[tuple[int, int, int, int]] = Counter()
    for number, step in enumerate(passes):
        tokens, sequences = len(step.token_rows), len(step.sequences)
        expected[number, Kind.HEAD, model.n_layers - 1, sequences] += 1
        for layer in range(model.encoder_layers if step.phase == "decode" else 0, model.n_layers):
            moe = model.moe_index(layer) >= 0
            kinds = [Kind.ATTENTION, *([Kind.GATE, Kind.COMBINE] if moe else [])]
            kinds += [Kind.EXPERT] if model.shared_hidden or not moe else []
            expected.update((number, kind, layer, tokens) for kind in kinds)
    by_table = Counter({op: n for op, n in expected.items() if op[1] != Kind.GATE})

    def fault(timeline: Timeline) -> object:
        ops = timeline.schedule.ops
        own = np.isin(ops.kind, (Kind.ATTENTION, Kind.GATE, Kind.COMBINE, Kind.HEAD, Kind.EXPERT)) & (ops.expert < 0)
        columns = (ops.step[own], ops.kind[own], ops.layer[own], ops.tokens[own])
        done = Counter(zip(*(column.tolist() for column in columns), strict=True))
        runs_no_router = timeline.schedule.meta["strategy"] == "sida"
        return differing(by_table if runs_no_router else expected, done)

    check_all(setting, fault)


@every_setting
def test_bytes_are_the_number_of_copies_times_their_size(setting: str) -> None:
    model = SETTINGS[setting].model

    def size_bytes(schedule: Schedule, op: int) -> int:
        ops = schedule.ops
        if ops.kind[op] == Kind.SEND:
            return int(ops.tokens[op]) * model.hidden * 2
        if ops.kind[op] not in (Kind.LOAD, Kind.UNLOAD):
            return 0
        if ops.expert[op] < 0:
            return model.layer_bytes(int(ops.layer[op]), "bf16")
        return model.expert_bytes("bf16")

    def fault(timeline: Timeline) -> object:
        schedule = timeline.schedule
        return [op for op in range(len(schedule)) if schedule.ops.size_bytes[op] != size_bytes(schedule, op)]

    check_all(setting, fault)


@every_setting
def test_memory_is_never_over_budget_and_never_overwritten_while_read(setting: str) -> None:
    """One slot holds one expert at a time, so that no more experts than slots are ever resident."""
    check_all(setting, slot_faults)


@pytest.mark.parametrize("setting", ["batch", "odd blocks", "encoder and decoder, top-1"])
def test_memory_is_safe_too_where_copies_run_far_ahead_of_compute(setting: str) -> None:
    def fault(timeline: Timeline) -> object:
        return timeline.schedule.clock_free and slot_faults(timed(timeline.schedule, slow_gpu()))

    check_all(setting, fault)


@every_setting
def test_every_expert_on_the_gpu_reads_a_slot_and_none_elsewhere_does(setting: str) -> None:
    def fault(timeline: Timeline) -> object:
        schedule = timeline.schedule
        ops, gpu = schedule.ops, schedule.lane_index["gpu0"]
        copies = np.isin(ops.kind, (Kind.LOAD, Kind.UNLOAD)) & (ops.expert >= 0)
        needs_slot = copies | ((ops.kind == Kind.EXPERT) & (ops.expert >= 0) & (ops.lane == gpu))
        return np.flatnonzero(needs_slot != (ops.slot >= 0)).tolist()

    check_all(setting, fault)


@every_setting
@pytest.mark.parametrize("case", WHOLE_BLOCKS, ids=name_of)
def test_streamed_blocks_never_take_more_buffers_than_they_say(case: Case, setting: str) -> None:
    buffers = make_strategy(case[0], **dict(case[1])).block_buffers
    assert most_blocks(run(case, setting)) <= buffers
    assert most_blocks(timed(run(case, setting).schedule, slow_gpu())) <= buffers


@every_setting
def test_a_block_starts_after_the_one_before_and_combines_after_all_its_experts(setting: str) -> None:
    def fault(timeline: Timeline) -> object:
        ops, times = timeline.schedule.ops, timeline.times
        previous_s = combined_s = routed_s = 0.0
        early_s: dict[int, float] = {}  # block -> when what was started for it ahead of time has ended
        faults = []
        for op in range(len(ops)):
            kind, start_s, end_s = Kind(ops.kind[op]), times.start_s[op], times.end_s[op]
            if kind in (Kind.ATTENTION, Kind.HEAD):
                faults += [op] if start_s < combined_s else []
                previous_s = combined_s = routed_s = max(combined_s, end_s)
            elif kind == Kind.GATE:
                faults += [op] if start_s < previous_s else []
                routed_s = end_s
            elif ops.reason[op] == Reason.PRECOMPUTE:
                faults += [op] if start_s < routed_s else []
                early_s[int(ops.layer[op])] = max(early_s.get(int(ops.layer[op]), 0.0), end_s)
            elif kind == Kind.EXPERT or (kind == Kind.SEND):
                faults += [op] if start_s < routed_s else []
                combined_s = max(combined_s, end_s)
            elif kind == Kind.COMBINE:
                faults += [op] if start_s < max(combined_s, early_s.pop(int(ops.layer[op]), 0.0)) else []
                combined_s = end_s
        return faults

    check_all(setting, fault)


@every_setting
def test_a_wait_holds_the_host(setting: str) -> None:
    def fault(timeline: Timeline) -> object:
        ops, times = timeline.schedule.ops, timeline.times
        held_until_s, faults = 0.0, []
        for op in range(len(ops)):
            faults += [op] if times.dispatched_s[op] < held_until_s else []
            if ops.kind[op] == Kind.WAIT:
                held_until_s = max(times.end_s[dep] for dep in ops.dependencies(op))
        return faults

    check_all(setting, fault)


@every_setting
def test_routing_is_known_to_the_host_before_it_dispatches_an_expert_for_it(setting: str) -> None:
    def fault(timeline: Timeline) -> object:
        ops, times = timeline.schedule.ops, timeline.times
        gate_end_s = {
            (int(ops.step[op]), int(ops.layer[op])): times.end_s[op] for op in np.flatnonzero(ops.kind == Kind.GATE)
        }
        routed = (ops.kind == Kind.EXPERT) & (ops.expert >= 0)
        if not strategies()[timeline.schedule.meta["strategy"]].routing_on_host:
            routed &= ops.reason != Reason.HIT  # found by the GPU itself among all experts of the block
        experts = np.flatnonzero(routed)
        known_s = (gate_end_s.get((int(ops.step[op]), int(ops.layer[op])), 0.0) for op in experts)  # 0: from a table
        return [op for op, end_s in zip(experts, known_s, strict=True) if times.dispatched_s[op] < end_s]

    check_all(setting, fault)


@every_setting
def test_schedules_are_valid_and_end_and_ask_no_clock_unless_they_say_so(setting: str) -> None:
    def fault(timeline: Timeline) -> object:
        schedule, times = timeline.schedule, timeline.times
        schedule.validate()
        ends = np.isfinite(times.end_s).all() and (times.end_s >= times.start_s).all()
        asks = schedule.meta["strategy"] in ASKING
        clock_free = schedule.clock_free and not times.cancelled.any()
        return not ((asks or clock_free) and ends and schedule.lanes[0].name == HOST)

    check_all(setting, fault)


@every_setting
def test_steps_are_the_workloads(setting: str) -> None:
    trace, batch = SETTINGS[setting].trace(), SETTINGS[setting].batch
    expected = [
        (Phase[s.phase.upper()], int(s.sequences[0]) // batch, len(s.sequences), len(s.token_rows))
        for s in steps(trace, batch)
    ]

    def fault(timeline: Timeline) -> object:
        found = [(s.phase, s.batch, s.sequences, s.tokens) for s in timeline.schedule.steps]
        first_ops = [s.first_op for s in timeline.schedule.steps]
        starts = np.searchsorted(timeline.schedule.ops.step, np.arange(len(first_ops))).tolist()
        return found != expected or first_ops != starts

    check_all(setting, fault)


@every_setting
def test_both_engines_give_the_same_times(setting: str) -> None:
    slowly_woken = busy_machine(
        stacks={"plain": stack(dispatch_s={"default": 0.125}, sync_s=0.5, handoff_s={"cpu": 0.25, "link": 0.75})}
    )

    def fault(timeline: Timeline) -> object:
        schedule = timeline.schedule
        found = [name for name in vars(timeline.times) if differs(timeline, busy_machine(), name)]
        if schedule.clock_free:
            other = timed(schedule, slowly_woken)
            found += [name for name in vars(timeline.times) if differs(other, slowly_woken, name)]
        return found

    def differs(reference: Timeline, machine: Machine, name: str) -> bool:
        times = retime(reference.schedule, costs_of(reference.schedule, machine)).times
        return not np.allclose(getattr(times, name), getattr(reference.times, name), rtol=1e-9, atol=0)

    check_all(setting, fault)
