from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim.cost import CostModel, costs_of
from sim.errors import InputError
from sim.kernel_cost import OpSize
from sim.machine import Machine
from sim.model import MoEModel
from sim.program import CPU, D2H, GPU, H2D, HOST_LANE, STORAGE, WORKER, Program, default_lanes
from sim.schedule import Kind, Phase, Schedule
from tests.machines import BF16, EXPERT_BYTES, busy_machine, link, stack, tiny_costs, tiny_machine, tiny_model

EXPERT = OpSize(0, expert=1, tokens=2)
LOAD = OpSize(0, expert=1, size_bytes=EXPERT_BYTES)


def one_of_each(model: MoEModel | None = None) -> Schedule:
    """Every kind that the toy machine can time."""
    p = Program(model or tiny_model(), BF16, default_lanes(), n_slots=2)
    p.begin_step(Phase.PREFILL, 0, sequences=2, tokens=6, context=3)
    p.attention(0)
    gate = p.gate(0)
    p.wait(gate)
    p.load(0, 1)
    expert = p.expert(0, 1, 4)
    cpu = p.expert(0, 2, 3, on=CPU, after=[p.send(D2H, 3, after=[gate])])
    p.combine(0, after=[expert, p.send(H2D, 3, after=[cpu])])
    p.unload(0, 1)
    p.load_block(1)
    p.software(0.75)
    p.software(0.5, lane=WORKER)
    p.cancel(p.load(0, 3))
    p.head()
    return p.schedule()


def machine_with(**changes: Any) -> Machine:
    return tiny_machine(**changes)


def test_columns_agree_with_ops_priced_one_by_one() -> None:
    schedule, machine = one_of_each(), busy_machine()
    costs, model = costs_of(schedule, machine), CostModel(machine, schedule.model, BF16)
    ops = schedule.ops
    for i in range(len(schedule)):
        columns = (ops.layer, ops.expert, ops.tokens, ops.context, ops.sequences, ops.size_bytes)
        size = OpSize(*(int(column[i]) for column in columns))
        one = model.op(Kind(ops.kind[i]), schedule.lanes[ops.lane[i]].name, size)
        if np.isnan(ops.stated_s[i]):
            assert costs.duration_s[i] == one.seconds
        assert tuple(costs.demand[i]) == one.demand
        assert costs.dispatch_s[i] == model.dispatch_s(Kind(ops.kind[i]))


def test_software_takes_what_its_author_states_on_any_lane() -> None:
    schedule = one_of_each()
    software = schedule.ops.kind == Kind.SOFTWARE
    assert costs_of(schedule, tiny_machine()).duration_s[software].tolist() == [0.75, 0.5]


def test_a_block_of_no_ops_costs_nothing() -> None:
    costs = costs_of(Program(tiny_model(), BF16, default_lanes()).schedule(), busy_machine())
    assert (len(costs.duration_s), costs.demand.shape) == (0, (0, 2))


def test_dense_shared_and_routed_experts_are_told_apart() -> None:
    model = tiny_model(n_layers=3, moe_layers=(1, 2), dense_hidden=40, shared_hidden=20)
    p = Program(model, BF16, default_lanes(), n_slots=1, start_slots=[(2, 3)])
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    for layer in (0, 1, 2):
        p.shared(layer)
    p.expert(2, 3, 1)
    line = {"device": "gpu", "kind": "expert", "bytes_per_s": 1e30, "flop_per_s": 400.0, "fixed_s": 0, "source": "x"}
    seconds = costs_of(p.schedule(), tiny_machine(rooflines=[line])).duration_s
    assert seconds.tolist() == [4.0, 2.0, 2.0, 1.0]  # 2 × 10 × 40, 20, 20, 10 parameters, 2 FLOP each


@pytest.mark.parametrize("kind", [Kind.LOAD, Kind.SEND])
@pytest.mark.parametrize("copies", ["pinned", "pageable"])
def test_the_stack_says_which_kind_of_copies_it_makes(kind: Kind, copies: str) -> None:
    both = [link("h2d"), link("h2d", "pageable", curve={"x": [400], "seconds": [25]})]
    costs = tiny_costs(machine=tiny_machine(links=both, stacks={"plain": stack(copies=copies)}))
    assert costs.op(kind, H2D, LOAD).seconds == {"pinned": 10.0, "pageable": 25.0}[copies]


def test_the_direction_follows_the_lane() -> None:
    both = [link("h2d"), link("d2h", curve={"x": [400], "seconds": [30]})]
    costs = tiny_costs(machine=tiny_machine(links=both))
    assert costs.op(Kind.LOAD, H2D, LOAD).seconds == 10.0
    assert costs.op(Kind.UNLOAD, D2H, LOAD).seconds == 30.0


def test_reads_come_from_storage_whatever_the_copies() -> None:
    disk = link("read", "storage", curve={"x": [400], "seconds": [99]})
    costs = tiny_costs(machine=tiny_machine(links=[link("h2d"), disk]))
    assert costs.op(Kind.READ, STORAGE, LOAD).seconds == 99.0


def test_copies_above_the_largest_measured_are_extrapolated_with_a_warning() -> None:
    costs = tiny_costs()
    assert costs.op(Kind.LOAD, H2D, OpSize(0, size_bytes=800)).seconds == pytest.approx(20.0)
    assert list(costs.warnings) == ["h2d copies above 400 bytes are extrapolated"]


def test_waiting_costs_the_stacks_sync_and_cancelling_nothing() -> None:
    costs = tiny_costs(machine=tiny_machine(stacks={"plain": stack(sync_s=0.25)}))
    assert costs.op(Kind.WAIT, HOST_LANE, OpSize(-1)).seconds == 0.25
    assert costs.op(Kind.CANCEL, HOST_LANE, OpSize(-1)).seconds == 0.0


def test_dispatch_is_by_kind_with_a_default() -> None:
    costs = tiny_costs(machine=tiny_machine(stacks={"plain": stack(dispatch_s={"default": 0.5, "load": 2.0})}))
    assert [costs.dispatch_s(kind) for kind in (Kind.LOAD, Kind.UNLOAD, Kind.GATE)] == [2.0, 0.5, 0.5]
    assert tiny_costs().dispatch_s(Kind.GATE) == 0.0


def test_waking_up_is_paid_on_the_lanes_of_the_device_that_names_it_and_never_by_the_host() -> None:
    costs = tiny_costs(machine=tiny_machine(stacks={"plain": stack(handoff_s={"cpu": 0.5, "link": 0.25})}))
    assert [costs.handoff_s(lane) for lane in (CPU, H2D, GPU, HOST_LANE)] == [0.5, 0.25, 0.0, 0.0]
    assert costs.op(Kind.EXPERT, CPU, EXPERT).seconds == 8.0


def test_a_copy_demands_its_traffic_a_second() -> None:
    costs = tiny_costs(machine=busy_machine())
    assert costs.capacities == (100.0, 2.0)
    assert costs.op(Kind.LOAD, H2D, LOAD).demand == (2.0 * EXPERT_BYTES / 10.0, 0.0)


def test_a_kernel_demands_its_bytes_a_second_and_what_its_lane_occupies() -> None:
    costs = tiny_costs(machine=busy_machine())
    read_bytes = EXPERT_BYTES + 2 * 2 * 20
    assert costs.op(Kind.EXPERT, CPU, EXPERT).demand == (read_bytes / 8.0, 1.0)
    assert costs.op(Kind.EXPERT, GPU, EXPERT).demand == (0.0, 0.0)


def test_no_op_demands_more_than_there_is_so_that_alone_it_runs_at_full_speed() -> None:
    fields = busy_machine().model_dump() | {"capacities": {"dram": 50.0, "cores": 2.0}}
    costs = tiny_costs(machine=Machine.parse(fields, "toy.json"))
    assert costs.op(Kind.LOAD, H2D, LOAD).demand == (50.0, 0.0)


def test_a_lane_that_the_machine_lacks_is_one_clear_line() -> None:
    lanes = {"gpu0": {"device": "gpu"}}
    costs = tiny_costs(machine=tiny_machine(lanes=lanes))
    with pytest.raises(InputError, match=r"lane: machine toy has no such lane \(got 'cpu'\); it has gpu0"):
        costs.op(Kind.EXPERT, CPU, EXPERT)


def test_a_link_that_the_machine_lacks_is_one_clear_line() -> None:
    costs = tiny_costs(machine=tiny_machine(stacks={"plain": stack(copies="pageable")}))
    with pytest.raises(InputError, match=r"links: machine toy has no pageable link in this direction \(got 'h2d'\)"):
        costs.op(Kind.LOAD, H2D, LOAD)


def test_a_stack_that_the_machine_lacks_is_one_clear_line() -> None:
    with pytest.raises(InputError, match="stack: machine toy has no such stack"):
        CostModel(tiny_machine(), tiny_model(), BF16, stack="vllm")


def test_equal_ops_are_priced_once() -> None:
    p = Program(tiny_model(), BF16, default_lanes())
    for _ in range(50):
        p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=7)
        p.attention(0)
        p.attention(1)
    costs = tiny_costs()
    schedule = p.schedule()
    priced = costs.price(schedule.ops, schedule.lanes, schedule.classes)
    assert len(priced.seconds) == 1


def test_grouped_experts_share_launches_and_fixed_time_but_neither_bytes_nor_flop() -> None:
    launches = {"expert": 0.5, "default": 0.25}
    slow = [{**line, "fixed_s": 1.0, "flop_per_s": 100.0} for line in tiny_machine().model_dump()["rooflines"]]
    alone, grouped = (
        tiny_costs(machine=tiny_machine(rooflines=slow, stacks={"plain": stack(dispatch_s=launches, **how)}))
        for how in ({}, {"grouped_experts": True})
    )
    shared = OpSize(0, expert=-1, tokens=2)
    for costs, part in ((alone, 1), (grouped, 2)):  # two experts a token
        assert costs.op(Kind.EXPERT, GPU, EXPERT).seconds == pytest.approx(8.0 + 1.0 / part)
        assert costs.op(Kind.EXPERT, CPU, EXPERT).seconds == pytest.approx(8.0 + 1.0 / part)
        schedule = one_of_each()
        dispatch_s = costs.of(schedule.ops, schedule.lanes).dispatch_s
        assert set(dispatch_s[schedule.ops.kind == Kind.EXPERT]) == {0.5 / part}
        assert set(dispatch_s[schedule.ops.kind == Kind.GATE]) == {0.25}
    assert grouped.op(Kind.GATE, GPU, shared) == alone.op(Kind.GATE, GPU, shared)


def test_a_software_queue_costs_each_of_its_ops_and_no_other_lane_anything() -> None:
    machine = tiny_machine(stacks={"plain": stack(queue_s=0.25)})
    for discipline, longer in ((False, 0.0), (True, 0.25)):
        p = Program(tiny_model(), BF16, default_lanes(copy_priority=discipline), n_slots=2)
        p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=3)
        p.load(0, 1)
        p.unload(0, 1)
        p.attention(0)
        schedule = p.schedule()
        plain = costs_of(schedule, tiny_machine()).duration_s
        for costs in (
            costs_of(schedule, machine),
            CostModel(machine, tiny_model(), BF16).of(schedule.ops, schedule.lanes),
        ):
            assert (costs.duration_s - plain).tolist() == pytest.approx([longer, 0.0, 0.0])
