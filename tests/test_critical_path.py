from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given

from sim import compiler, path_steps, path_walk
from sim.cost import Costs, costs_of
from sim.critical_path import Cause, Path, critical_path, wasted_prefetches
from sim.engine import simulate
from sim.program import Program, default_lanes
from sim.schedule import Kind, Phase, Reason, Schedule, Step
from sim.timeline import Timeline
from tests.blocks import to_costs, to_lanes, to_ops
from tests.machines import BF16, busy_machine, tiny_machine, tiny_model
from tests.reference_timer import RefOp
from tests.runs import SOME_CASES, name_of, run
from tests.strategies import RandomSchedule, random_schedules

HOST, GPU, LINK = 0, 1, 2


def timed(case: RandomSchedule) -> tuple[Timeline, Costs]:
    ops, lanes, capacities = case
    schedule = Schedule(
        ops=to_ops(ops), lanes=tuple(to_lanes(lanes)), steps=(Step(Phase.DECODE, 0, 1, 1, 0),), model=tiny_model(),
        precisions=BF16,
    )  # fmt: skip
    costs = to_costs(ops, capacities)
    return simulate(schedule, costs), costs


def path_of(ops: list[RefOp], *disciplines: str, capacities: tuple[float, ...] = ()) -> Path:
    return critical_path(*timed((ops, ["host", *disciplines], list(capacities))))


def check_chain(path: Path) -> None:
    """Contiguous to the bit from 0 to the makespan, and work where the timeline has that op at work."""
    times = path.timeline.times
    assert path.length_s == path.timeline.makespan_s
    if not len(path):
        return
    assert path.begin_s[0] == 0.0
    np.testing.assert_array_equal(path.begin_s[1:], path.end_s[:-1])
    exact = sum(Fraction(end) - Fraction(begin) for begin, end in zip(path.begin_s, path.end_s, strict=True))
    assert exact == Fraction(path.timeline.makespan_s)
    assert (path.begin_s >= 0).all()
    assert (path.begin_s < path.end_s).all()
    assert not times.cancelled[path.op[path.lane > 0]].any()
    assert (path.end_s <= times.end_s[path.op]).all()


@given(random_schedules())
def test_path_is_as_long_as_the_makespan_to_the_bit_and_every_wait_is_explained(case: RandomSchedule) -> None:
    path = critical_path(*timed(case))
    check_chain(path)
    assert Cause.UNEXPLAINED not in path.cause
    check_chain(critical_path(path.timeline))


@given(random_schedules())
def test_attribution_sums_to_the_makespan(case: RandomSchedule) -> None:
    path = critical_path(*timed(case))
    for by in ("cause", "lane", "kind", "reason", "layer", "step"):
        assert sum(path.seconds(by).values()) == pytest.approx(path.length_s, rel=1e-12)
    assert path.by_step().sum() == pytest.approx(path.length_s, rel=1e-12)


@given(random_schedules(lanes=["host", "fifo", "fifo", "fifo"], sharing=False, cancels=False, handoffs=False))
def test_nothing_off_the_path_matters(case: RandomSchedule) -> None:
    """Where queues are fifos and nothing is shared, ops that take no time at all off the path leave the makespan.

    The path is then the longest chain. Hand-offs are left out, for a lane with less to do may fall asleep more often.
    """
    timeline, costs = timed(case)
    path = critical_path(timeline, costs)
    kept = np.zeros(len(timeline.times), bool)
    kept[path.op] = True
    freed = replace(costs, duration_s=np.where(kept, costs.duration_s, 0.0))
    assert simulate(timeline.schedule, freed).makespan_s == timeline.makespan_s


@given(random_schedules(lanes=["host", "fifo", "fifo"], sharing=False, cancels=False, handoffs=False))
def test_what_lies_on_the_path_lengthens_it(case: RandomSchedule) -> None:
    timeline, costs = timed(case)
    path = critical_path(timeline, costs)
    for op in np.unique(path.op[(path.cause == Cause.SOFTWARE) | (path.cause == Cause.HELD_UP)])[:3]:
        slower = costs.duration_s.copy()
        slower[op] += 1.0
        later = simulate(timeline.schedule, replace(costs, duration_s=slower))
        if timeline.times.start_s[op] < timeline.times.end_s[op]:
            assert later.makespan_s >= timeline.makespan_s + 1.0


def test_dispatch_synchronisation_and_wake_up() -> None:
    ops = [
        RefOp(GPU, 2.0, dispatch_s=0.5, handoff_s=0.25),
        RefOp(HOST, 0.125, dispatch_s=0.5, deps=(0,), is_wait=True),
        RefOp(GPU, 1.0, dispatch_s=0.5, handoff_s=0.25),
    ]
    path = path_of(ops, "fifo", "fifo")
    labels = [(Cause(cause), float(s)) for cause, s in zip(path.cause, path.segment_s, strict=True)]
    assert labels == [
        (Cause.DISPATCH, 0.5), (Cause.WAKE_UP, 0.25), (Cause.SOFTWARE, 2.0), (Cause.SYNCHRONISATION, 0.125),
        (Cause.DISPATCH, 0.5), (Cause.WAKE_UP, 0.25), (Cause.SOFTWARE, 1.0),
    ]  # fmt: skip
    assert path.seconds("lane") == {"lane1": 3.5, "host": 1.125}


def test_sharing_is_told_from_work_at_full_speed() -> None:
    ops = [RefOp(GPU, 4.0, demand=(1.0,)), RefOp(LINK, 2.0, demand=(1.0,))]
    path = path_of(ops, "fifo", "fifo", capacities=(1.0,))
    assert path.seconds("cause") == {"software": 4.0, "sharing slow-down": 2.0}
    assert critical_path(path.timeline).seconds("cause") == {"software": 6.0}


def test_a_head_that_is_not_ready_holds_up_those_behind_it() -> None:
    """Op 2 could run on the link from 0; op 1, ahead of it, waits for the GPU until 3."""
    ops = [RefOp(GPU, 3.0), RefOp(LINK, 1.0, deps=(0,)), RefOp(LINK, 2.0), RefOp(GPU, 1.0, deps=(2,))]
    path = path_of(ops, "fifo", "fifo")
    assert path.op.tolist() == [0, 1, 2, 3]
    assert path.cause.tolist() == [Cause.HELD_UP, Cause.SOFTWARE, Cause.SOFTWARE, Cause.SOFTWARE]


def test_the_time_that_a_lane_works_off_its_queue_is_not_blocking() -> None:
    path = path_of([RefOp(LINK, 1.0), RefOp(LINK, 1.0), RefOp(LINK, 1.0)], "fifo", "fifo")
    assert path.seconds("cause") == {"software": 3.0}


def test_an_op_withdrawn_late_has_held_up_its_queue() -> None:
    """Op 1 heads the link's queue until the host, which computes until 2, withdraws it."""
    ops = [
        RefOp(GPU, 9.0), RefOp(LINK, 5.0, deps=(0,)), RefOp(LINK, 8.0), RefOp(HOST, 2.0),
        RefOp(HOST, 0.0, deps=(1,), is_cancel=True),
    ]  # fmt: skip
    path = path_of(ops, "fifo", "fifo")
    assert path.timeline.makespan_s == 10.0
    assert path.op.tolist() == [3, 2]
    assert path.cause.tolist() == [Cause.HELD_UP, Cause.SOFTWARE]


def test_measured_gaps_are_unexplained_and_counted() -> None:
    timeline, costs = timed(([RefOp(GPU, 1.0), RefOp(GPU, 1.0)], ["host", "fifo"], []))
    late = replace(timeline.times, start_s=timeline.times.start_s + 0.5, end_s=timeline.times.end_s + 0.5)
    measured = Timeline(timeline.schedule, late, source="measured")
    path = critical_path(measured, costs)
    check_chain(path)
    assert path.seconds("cause") == {"software": 2.0, "unexplained": 0.5}


@pytest.mark.parametrize("setting", ["batch", "no cache", "dense first, shared expert", "encoder and decoder, top-1"])
def test_paths_of_all_strategies(setting: str) -> None:
    """On the busy machine, where dispatching costs and memory is shared."""
    for case in SOME_CASES:
        timeline = run(case, setting)
        costs = costs_of(timeline.schedule, busy_machine())
        path = critical_path(timeline, costs)
        check_chain(path)
        assert Cause.UNEXPLAINED not in path.cause, name_of(case)
        steps = path.by_step().sum(axis=1)
        np.testing.assert_allclose(steps[:-1], np.diff(timeline.step_end_s, prepend=0.0)[:-1], rtol=1e-9, atol=1e-9)
        for lane, (exposed_s, hidden_s) in path.exposed_s().items():
            assert exposed_s + hidden_s == pytest.approx(_transfer_s(timeline, lane))


def _transfer_s(timeline: Timeline, lane: str) -> float:
    ops, times = timeline.schedule.ops, timeline.times
    moves = np.isin(ops.kind, (Kind.LOAD, Kind.UNLOAD, Kind.SEND, Kind.READ))
    mine = (ops.lane == timeline.schedule.lane_index[lane]) & moves & ~times.cancelled
    return float((times.end_s - times.start_s)[mine].sum())


@pytest.mark.parametrize("case", [c for c in SOME_CASES if c[0] in ("cache", "oracle", "mixtral-offloading")])
def test_wasted_prefetches_are_those_that_nobody_reads(case: tuple[str, tuple[tuple[str, object], ...]]) -> None:
    for setting in ("batch", "no cache"):
        timeline = run(case, setting)
        np.testing.assert_array_equal(wasted_prefetches(timeline), _never_read(timeline))


def _never_read(timeline: Timeline) -> list[bool]:
    """Op by op, slot by slot."""
    ops = timeline.schedule.ops
    wasted, filled_by = [False] * len(ops), {}
    for op in (i for i in range(len(ops)) if ops.slot[i] >= 0 and not timeline.times.cancelled[i]):
        if ops.kind[op] == Kind.LOAD:
            filled_by[ops.slot[op]] = op
            wasted[op] = ops.reason[op] == Reason.PREFETCH
        elif ops.kind[op] == Kind.EXPERT and ops.slot[op] in filled_by:
            wasted[filled_by[ops.slot[op]]] = False
    return wasted


def forward(write: Callable[[Program], None], n_slots: int) -> dict[str, float]:
    """Seconds by cause of one decode step on the machine of whole seconds: 1 a kernel, 10 a load."""
    model = tiny_model()
    p = Program(model, BF16, default_lanes(), n_slots=n_slots, start_slots=[(0, 0)])
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    write(p)
    p.wait(p.head())
    schedule = p.schedule()
    costs = costs_of(schedule, tiny_machine())
    path = critical_path(simulate(schedule, costs), costs)
    check_chain(path)
    assert sum(path.seconds("cause").values()) == path.length_s
    return path.seconds("cause")


def block(p: Program, layer: int, expert: int, *, then: Callable[[], object] = lambda: None) -> None:
    """Attention, gate, one expert that is on the GPU or has to come, combination; `then`: what its gate sets off."""
    p.attention(layer)
    gate = p.gate(layer)
    p.wait(gate)
    if not p.resident(layer, expert):
        p.load(layer, expert, after=[gate])
    then()
    p.combine(layer, [p.expert(layer, expert, 1, after=[gate])])


def test_where_prefetching_helps() -> None:
    """The load is off the path for as long as block 0 computes after its gate, and block 1 up to its own."""

    def on_demand(p: Program) -> None:
        block(p, 0, 0)
        block(p, 1, 2)

    def ahead(p: Program) -> None:
        block(p, 0, 0, then=lambda: p.load(1, 2, reason=Reason.PREFETCH))
        block(p, 1, 2)

    assert forward(on_demand, 2) == {"demand loads": 10.0, "GPU compute": 9.0}
    assert forward(ahead, 2) == {"late prefetches": 10.0, "GPU compute": 5.0}  # block 0's last two, block 1's first two


def test_where_prefetching_hurts() -> None:
    """A wrong guess, and one that is right but not urgent, each take the link from the load that block 1 waits for."""

    def guess(p: Program, expert: int) -> None:
        block(p, 0, 0, then=lambda: p.load(1, expert, reason=Reason.PREFETCH))
        block(p, 1, 2)
        if expert == 3:
            p.expert(1, 3, 1)  # of use after all, but later

    assert forward(lambda p: guess(p, 1), 3) == {"GPU compute": 5.0, "demand loads": 10.0, "wasted prefetches": 10.0}
    useful = forward(lambda p: guess(p, 3), 3)
    assert useful == {"demand loads": 10.0, "GPU compute": 6.0, "late prefetches": 4.0, "head-of-line blocking": 6.0}


def test_where_nothing_helps() -> None:
    """All that is needed is there: the loads of others are hidden, and the path is the GPU's alone."""

    def write(p: Program) -> None:
        block(p, 0, 0, then=lambda: p.load(1, 2, reason=Reason.PREFETCH))
        for _ in range(3):
            block(p, 0, 0)

    assert forward(write, 2) == {"GPU compute": 17.0}


@pytest.fixture(scope="module")
def plain_steps() -> ModuleType:
    """The steps as they are where there is no compiler."""
    spec = spec_from_file_location("plain_path_steps", path_steps.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "has_compiler", lambda: False)
        spec.loader.exec_module(module)
    assert not hasattr(module.walk_back, "py_func")
    return module


@given(random_schedules())
def test_without_a_compiler_the_path_is_the_same(plain_steps: ModuleType, case: RandomSchedule) -> None:
    timeline, costs = timed(case)
    fast = critical_path(timeline, costs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(path_steps, "walk_back", plain_steps.walk_back)
        patch.setattr(path_walk, "has_compiler", lambda: False)
        slow = critical_path(timeline, costs)
    for column in ("op", "cause", "lane", "begin_s", "end_s"):
        assert np.array_equal(getattr(slow, column), getattr(fast, column)), column
