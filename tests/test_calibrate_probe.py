from __future__ import annotations

import numpy as np
import pytest

from calibrate.overheads import overheads
from calibrate.probe import decode_like, probe_model, side_by_side
from calibrate.sharing import overlapped_s
from sim.schedule import Kind
from sim.timeline import Times
from tests.hardware import CPU, FP32, GPU, Written, small_model


def test_the_probe_has_every_kind_of_op_that_strategies_use() -> None:
    schedule = decode_like(small_model(), FP32, steps=2)
    schedule.validate()
    kinds = {Kind(kind) for kind in np.unique(schedule.ops.kind)}
    assert kinds == {
        Kind.ATTENTION, Kind.GATE, Kind.EXPERT, Kind.COMBINE, Kind.HEAD, Kind.LOAD, Kind.UNLOAD, Kind.SEND, Kind.WAIT,
    }  # fmt: skip


def test_a_model_is_cut_down_to_its_first_moe_blocks() -> None:
    deep = small_model(n_layers=30, moe_layers=tuple(range(3, 30)), sliding_window=4, sliding_layers=(1, 20))
    cut = probe_model(deep)
    assert (cut.n_layers, cut.moe_layers, cut.sliding_layers) == (6, (3, 4, 5), (1,))
    assert probe_model(small_model()).moe_layers == (1, 2)


@pytest.mark.parametrize("group", [("gpu",), ("gpu", "cpu"), ("cpu", "copy"), ("gpu", "copy")])
def test_workers_side_by_side_do_not_wait_for_each_other(group: tuple[str, ...]) -> None:
    schedule = side_by_side(small_model(), FP32, dict.fromkeys(group, 5))
    ops = schedule.ops
    assert len(schedule) == 5 * len(group)
    for op in range(len(schedule)):
        assert all(ops.lane[dep] == ops.lane[op] for dep in ops.dependencies(op))


def times(dispatched: list[float], start: list[float], end: list[float]) -> Times:
    columns = [np.array(column) for column in (dispatched, start, end)]
    return Times(*columns, np.zeros(len(end), np.bool_))


def test_overheads_are_read_off_an_execution() -> None:
    w = Written()
    a = w.op(GPU)
    w.wait(a)
    b = w.op(GPU)
    w.op(GPU, [b])
    w.op(CPU, [b])
    samples = overheads(
        w.schedule(),
        times([1, 2, 22, 23, 24], [4, 2, 25, 35, 36], [14, 20, 34, 40, 44]),
    )
    assert samples == {
        "sync": [6.0],  # the op ended at 14, the host went on at 20
        "dispatch expert": [1.0, 2.0, 1.0, 1.0],
        "dispatch wait": [1.0],
        "handoff gpu": [3.0, 3.0],  # twice the lane was idle; the third op was queued behind the second
        "handoff cpu": [2.0],
    }


def test_a_wait_for_something_that_has_ended_tells_nothing_about_waking_up() -> None:
    w = Written()
    w.wait(w.op(GPU))
    assert "sync" not in overheads(w.schedule(), times([0, 9], [1, 9], [5, 9]))


def test_only_ops_that_ran_while_all_were_at_work_count_as_together() -> None:
    schedule = side_by_side(small_model(), FP32, {"gpu": 4, "cpu": 4})
    start, end = np.zeros(8), np.zeros(8)
    gpu = schedule.ops.lane == schedule.lane_index["gpu0"]
    start[gpu], end[gpu] = [0, 2, 4, 6], [2, 4, 6, 8]  # the first op of each lane is left out
    start[~gpu], end[~gpu] = [0, 1, 3, 5], [1, 3, 5, 7]
    executed = times([0] * 8, start.tolist(), end.tolist())
    assert overlapped_s(schedule, executed, "gpu", ("gpu", "cpu")) == [2.0, 2.0]
    assert overlapped_s(schedule, executed, "cpu", ("gpu", "cpu")) == [2.0, 2.0]
    assert overlapped_s(schedule, executed, "gpu", ("gpu",)) == [2.0, 2.0, 2.0]
