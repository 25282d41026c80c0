from __future__ import annotations

from hwexec.cores import core_of
from hwexec.graph import graph_of
from sim.program import default_lanes
from sim.schedule import Kind
from tests.hardware import COPY, CPU, GPU, HOST, Written


def test_program_order_and_fifo_order_need_no_events() -> None:
    w = Written()
    a = w.op(GPU)
    b = w.op(GPU, [a])
    waited = w.wait(b)
    c = w.op(CPU, [waited, b])
    graph = graph_of(w.schedule())
    assert graph.needs == [1, 1, 1, 2]
    assert graph.waiters == [(), (waited, c), (), ()]
    assert graph.lane_ops == [[waited], [a, b], [], [c], []]


def test_a_priority_lane_needs_an_event_even_for_its_own_ops() -> None:
    w = Written()
    a = w.op(COPY)
    b = w.op(COPY, [a, a])
    graph = graph_of(w.schedule())
    assert graph.needs == [1, 2], "a repeated dependency counts once"
    assert graph.waiters[a] == (b,)


def test_a_cancel_waits_for_nothing_and_only_ops_off_the_host_can_be_cancelled() -> None:
    w = Written()
    a = w.op(GPU)
    cancel = w.cancel(a)
    on_host = w.op(HOST, kind=Kind.SOFTWARE)
    w.cancel(on_host)
    graph = graph_of(w.schedule())
    assert graph.needs[cancel] == 0
    assert graph.cancellable == {a}


def test_two_cores_are_one_for_the_gpu_and_one_for_everything_else() -> None:
    lanes = [lane.name for lane in default_lanes()]
    assert core_of(lanes, (4, 7)) == dict.fromkeys(lanes, 7) | {"gpu0": 4}
    assert set(core_of(lanes, (3,)).values()) == {3}
    many = core_of(lanes, tuple(range(8)))
    assert len(set(many.values())) == len(lanes)
    assert [many[name] for name in ("gpu0", "cpu", "gpu0.h2d", "host")] == [0, 1, 2, 3]
