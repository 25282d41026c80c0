"""Strategies that ask the clock: planning and the final simulation must agree on every answer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sim.clock import SimulatedClock
from sim.cost import costs_of
from sim.engine import simulate
from sim.errors import ScheduleError
from sim.machine import Machine
from sim.parts.misses import stream
from sim.plan import plan
from sim.program import HOST_LANE, Program, default_lanes
from sim.schedule import Kind, Lane, Phase, Reason
from sim.slots import Key
from sim.strategy import LayerPass, Strategy, World, resident_expert
from sim.timeline import Timeline
from tests.machines import BF16, busy_machine, tiny_costs, tiny_machine, tiny_model
from tests.traces import random_trace


class ChangesItsMind(Strategy):
    """Starts loads of the next block's first experts, withdraws those that are not needed and have not ended."""

    name = "changes-its-mind"
    extra_slots = 4

    def __init__(self, *, copy_priority: bool) -> None:
        self.copy_priority = copy_priority

    def lanes(self) -> tuple[Lane, ...]:
        return default_lanes(copy_priority=self.copy_priority)

    def start(self, world: World) -> Sequence[Key]:
        super().start(world)
        self.moments: list[tuple[int, float]] = []  # (ops issued, what the clock said)
        self.answers: list[tuple[int, int, bool]] = []  # (ops issued, op asked about, whether it had ended)
        self.withdrawn: list[int] = []
        self._coming: dict[Key, int] = {}
        return ()

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        self.moments.append((len(p), p.now()))
        for op in (ready, *self._coming.values()):
            self._ended(p, op)
        for key, load in self._coming.items():
            if key[1] not in now.tokens_of and not self._ended(p, load):
                self.withdrawn.append(p.cancel(load))
            if key[1] not in now.tokens_of:
                p.drop(*key)
        self._coming = {key: load for key, load in self._coming.items() if key[1] in now.tokens_of}
        done = [self._run(p, now, expert, ready) for expert in now.tokens_of]
        for key in self._coming:
            p.drop(*key)
        blocks = self.world.model.moe_layers
        follower = blocks[(now.moe + 1) % len(blocks)]
        self._coming = {
            (follower, expert): p.load(follower, expert, reason=Reason.PREFETCH, priority=1) for expert in range(3)
        }
        return done

    def _run(self, p: Program, now: LayerPass, expert: int, ready: int) -> int:
        if p.resident(now.layer, expert):
            return resident_expert(p, now, expert, ready, Reason.PREFETCHED)
        return stream(p, now, expert, ready)

    def _ended(self, p: Program, op: int) -> bool:
        answer = p.done(op)
        self.answers.append((len(p), op, answer))
        return answer


def asked(machine: Machine, *, copy_priority: bool) -> tuple[ChangesItsMind, Timeline]:
    strategy, model = ChangesItsMind(copy_priority=copy_priority), tiny_model(n_layers=3)
    trace = random_trace([(3, 4), (2, 3)], 3, 4, 2)
    schedule = plan(strategy, model, BF16, trace, cached=0, batch=2, costs=tiny_costs(model, machine))
    return strategy, simulate(schedule, costs_of(schedule, machine))


def asking(machine: Machine, *, copy_priority: bool = False, start: Sequence[Key] = ()) -> Program:
    lanes, costs = default_lanes(copy_priority=copy_priority), tiny_costs(machine=machine)
    p = Program(tiny_model(), BF16, lanes, n_slots=2, start_slots=start, clock=SimulatedClock(lanes, costs))
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    return p


def host_moment(timeline: Timeline, issued: int) -> float:
    """When the host has handled the first `issued` ops and turns to the next."""
    ops, times = timeline.schedule.ops, timeline.times
    last = issued - 1
    return float(times.end_s[last] if ops.lane[last] == 0 else times.dispatched_s[last])


def wrong_answers(strategy: ChangesItsMind, timeline: Timeline) -> list[tuple[int, int, bool]]:
    """Answers that the final simulation contradicts; an op withdrawn at that very instant had not ended before."""
    end_s, cancelled = timeline.times.end_s, timeline.times.cancelled
    return [
        (issued, op, answer)
        for issued, op, answer in strategy.answers
        if answer != (end_s[op] <= host_moment(timeline, issued)) and not (cancelled[op] and not answer)
    ]


both_disciplines = pytest.mark.parametrize("copy_priority", [False, True])


@both_disciplines
def test_the_clock_says_when_the_final_simulation_gets_there(copy_priority: bool) -> None:
    strategy, timeline = asked(busy_machine(), copy_priority=copy_priority)
    assert len(strategy.moments) > 10
    for issued, moment in strategy.moments:
        assert moment == host_moment(timeline, issued)


@both_disciplines
def test_what_had_ended_had_ended_in_the_final_simulation(copy_priority: bool) -> None:
    strategy, timeline = asked(busy_machine(), copy_priority=copy_priority)
    assert {answer for _, _, answer in strategy.answers} == {True, False}
    assert wrong_answers(strategy, timeline) == []


@both_disciplines
def test_a_withdrawn_op_takes_no_time_if_it_had_not_started_and_all_of_it_if_it_had(copy_priority: bool) -> None:
    strategy, timeline = asked(busy_machine(), copy_priority=copy_priority)
    ops, times = timeline.schedule.ops, timeline.times
    outcomes = set()
    for cancel in strategy.withdrawn:
        (target,) = ops.dependencies(cancel).tolist()
        withdrawn = bool(times.cancelled[target])
        outcomes.add(withdrawn)
        assert ops.kind[cancel] == Kind.CANCEL
        assert withdrawn == (times.end_s[target] == times.start_s[target] == times.dispatched_s[cancel])
        if not withdrawn:
            assert times.start_s[target] <= times.dispatched_s[cancel]
            assert times.end_s[target] - times.start_s[target] >= 10.0
    assert outcomes == {True, False}


@both_disciplines
def test_slots_stay_safe_when_loads_are_withdrawn(copy_priority: bool) -> None:
    """Whoever overwrites a slot comes after its last reader, also if the load between them was withdrawn."""
    _, timeline = asked(busy_machine(), copy_priority=copy_priority)
    ops, times = timeline.schedule.ops, timeline.times
    free_s: dict[int, float] = {}
    for op in range(len(ops)):
        if (slot := int(ops.slot[op])) < 0 or times.cancelled[op]:
            continue
        if ops.kind[op] == Kind.LOAD:
            assert times.start_s[op] >= free_s.get(slot, 0.0)
        free_s[slot] = max(free_s.get(slot, 0.0), float(times.end_s[op]))


def test_a_schedule_that_asked_is_not_clock_free_and_the_same_every_time() -> None:
    first, second = (asked(busy_machine(), copy_priority=True)[1] for _ in range(2))
    assert not first.schedule.clock_free
    assert first.times.end_s.tolist() == second.times.end_s.tolist()


@both_disciplines
def test_answers_hold_where_dispatching_costs_nothing(copy_priority: bool) -> None:
    strategy, timeline = asked(tiny_machine(), copy_priority=copy_priority)
    for issued, moment in strategy.moments:
        assert moment == host_moment(timeline, issued)
    assert wrong_answers(strategy, timeline) == []


def test_planning_without_a_machine_says_that_the_strategy_needs_one() -> None:
    with pytest.raises(ScheduleError, match="asks the clock"):
        plan(ChangesItsMind(copy_priority=False), tiny_model(), BF16, random_trace([(0, 1)], 2, 4, 2), cached=0)


@pytest.mark.parametrize("copy_priority", [False, True])
def test_a_cancel_at_the_instant_of_a_question_is_replayed_as_it_was_planned(copy_priority: bool) -> None:
    """Where dispatching costs nothing, a load, a look at the clock and a cancel share one instant."""
    p = asking(tiny_machine(), copy_priority=copy_priority)
    load = p.load(0, 0)
    assert p.now() == 0.0
    assert not p.started(load), "not before this instant"
    p.cancel(load)
    assert p.withdrawn(load)
    schedule = p.schedule()
    assert simulate(schedule, costs_of(schedule, tiny_machine())).times.cancelled[load]


def test_a_withdrawn_op_is_told_from_one_that_was_done() -> None:
    p = asking(busy_machine())
    first, second = p.load(0, 0), p.load(0, 1)
    assert (p.started(first), p.started(second)) == (True, False)
    p.cancel(first)
    p.cancel(second)
    assert (p.withdrawn(first), p.withdrawn(second)) == (False, True)
    assert (p.done(first), p.done(second)) == (False, True), "what was withdrawn counts as ended"
    p.wait(first)
    assert (p.done(first), p.withdrawn(first)) == (True, False)


def test_withdrawing_loads_gives_their_slots_back_as_they_were() -> None:
    p = asking(busy_machine(), start=[(0, 0), (0, 1)])
    for expert in (0, 1):
        p.drop(0, expert)
    begun, waiting = p.load(1, 2), p.load(1, 3)
    assert p.withdraw([begun, waiting]) == [waiting]
    assert (p.resident(1, 2), p.resident(1, 3), p.slots.free) == (True, False, 1)
    assert not p.reclaim(0, 0), "its slot is being filled"
    assert p.reclaim(0, 1)
    assert not p.reclaim(0, 1), "it is there already"
    p.expert(0, 1, 1)
    p.drop(0, 1)
    load = p.load(1, 3)
    schedule = p.schedule()
    timeline = simulate(schedule, costs_of(schedule, busy_machine()))
    assert schedule.ops.slot[[begun, waiting, load]].tolist() == [0, 1, 1]
    assert set(schedule.ops.dependencies(load).tolist()) == {load - 1}, "the reader alone: nothing was loaded since"
    assert timeline.times.cancelled.tolist().index(True) == waiting


def test_a_program_that_asked_the_clock_is_not_clock_free() -> None:
    p = Program(tiny_model(), BF16, default_lanes(), clock=SimulatedClock(default_lanes(), tiny_costs()))
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=5)
    p.attention(0)
    assert p.schedule().clock_free
    assert p.now() == 0.0
    assert not p.schedule().clock_free


def test_asking_the_clock_without_a_machine_is_refused() -> None:
    with pytest.raises(ScheduleError, match="planning needs a machine"):
        Program(tiny_model(), BF16, default_lanes()).now()


def test_the_clock_stands_at_the_hosts_present_moment() -> None:
    lanes, costs = default_lanes(), tiny_costs(machine=busy_machine())
    p = Program(tiny_model(), BF16, lanes, n_slots=1, clock=SimulatedClock(lanes, costs))
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=5)
    assert p.now() == 0.0
    load = p.load(0, 0)
    assert p.now() == 0.25, "one load was dispatched"
    assert not p.done(load)
    p.software(3.0, lane=HOST_LANE)
    assert p.now() == 0.25 + 0.125 + 3.0
    p.wait(load)
    assert p.done(load)
    assert p.now() == 0.25 + 10.0 + 0.0625, "the wait ends with the load, and waking costs the sync"
