from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim.columnar import Ragged, write_table
from sim.cost import costs_of
from sim.engine import simulate
from sim.errors import FormatError, InputError
from sim.program import CPU, HOST_LANE, Program, default_lanes
from sim.schedule import Phase
from sim.timeline import Timeline, Times, join_times
from tests.equality import differences, same
from tests.machines import BF16, busy_machine, stack, tiny_machine, tiny_model


def two_steps(*, heads: bool = True) -> Program:
    """Prefill and one token on the GPU, with a CPU expert that outlives the first head."""
    p = Program(tiny_model(n_layers=1), BF16, default_lanes(), n_slots=1, start_slots=[(0, 0)])
    for phase, tokens in ((Phase.PREFILL, 3), (Phase.DECODE, 1)):
        p.begin_step(phase, 0, sequences=1, tokens=tokens, context=3)
        p.attention(0)
        p.expert(0, 2, tokens, on=CPU)
        if heads:
            p.head()
    return p


def timed(p: Program) -> Timeline:
    schedule = p.schedule()
    return simulate(schedule, costs_of(schedule, tiny_machine()))


def test_a_timeline_loads_back_equal_and_saves_to_equal_bytes(tmp_path: Path) -> None:
    schedule = two_steps().schedule()
    times = simulate(schedule, costs_of(schedule, busy_machine())).times
    timeline = Timeline(schedule, times, source="measured", meta={"backend": "host", "repeat": 2})
    timeline.save(tmp_path / "a")
    again = Timeline.load(tmp_path / "a", schedule)
    again.save(tmp_path / "b")
    assert differences(timeline, again) == []
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_timeline_of_another_schedule_is_refused(tmp_path: Path) -> None:
    timed(two_steps()).save(tmp_path / "a")
    other = two_steps(heads=False).schedule()
    with pytest.raises(FormatError, match=r"a: holds 6 ops, the schedule 4; give the schedule"):
        Timeline.load(tmp_path / "a", other)


def test_a_timeline_of_another_schedule_of_as_many_ops_is_refused(tmp_path: Path) -> None:
    timed(two_steps()).save(tmp_path / "a")
    schedule = two_steps().schedule()
    for column in ("expert", "tokens", "priority"):
        changed = getattr(schedule.ops, column).copy()
        changed[1] += 1
        other = replace(schedule, ops=replace(schedule.ops, **{column: changed}))
        with pytest.raises(FormatError, match=r"a: schedule: was made from another schedule of as many ops"):
            Timeline.load(tmp_path / "a", other)
    other = replace(
        schedule, ops=replace(schedule.ops, deps=Ragged(schedule.ops.deps.offsets, schedule.ops.deps.values * 0))
    )
    with pytest.raises(FormatError, match="another schedule"):
        Timeline.load(tmp_path / "a", other)


def test_a_timeline_that_does_not_say_what_it_was_made_from_still_loads(tmp_path: Path) -> None:
    timeline = timed(two_steps())
    meta = {"source": "simulated", "meta": {}}
    write_table(tmp_path / "old", kind="timeline", version=1, columns=vars(timeline.times), meta=meta)
    assert Timeline.load(tmp_path / "old", timeline.schedule).makespan_s == timeline.makespan_s


def test_alien_truncated_and_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    timeline = timed(two_steps())
    timeline.save(tmp_path / "good")
    timeline.schedule.save(tmp_path / "schedule")
    (tmp_path / "half").write_bytes((tmp_path / "good").read_bytes()[:100])
    columns = {"start_s": timeline.times.start_s}
    write_table(tmp_path / "columns", kind="timeline", version=1, columns=columns, meta={"source": "x", "meta": {}})
    write_table(tmp_path / "meta", kind="timeline", version=1, columns=vars(timeline.times), meta={})
    for name in ("schedule", "half", "columns", "meta", "none"):
        with pytest.raises(InputError) as caught:
            Timeline.load(tmp_path / name, timeline.schedule)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        assert "\n" not in str(caught.value)


def test_the_makespan_is_the_end_of_the_last_op() -> None:
    timeline = timed(two_steps())
    assert timeline.makespan_s == 12.0 + 4.0  # the CPU experts, 4 s a token, one after the other
    assert timed(Program(tiny_model(), BF16, default_lanes())).makespan_s == 0.0


def test_a_step_ends_with_its_head_whatever_goes_on_elsewhere() -> None:
    assert timed(two_steps()).step_end_s.tolist() == [2.0, 4.0]


def test_a_step_without_head_ends_with_its_last_op() -> None:
    assert timed(two_steps(heads=False)).step_end_s.tolist() == [12.0, 16.0]


def test_ops_before_the_first_step_belong_to_no_step() -> None:
    p = Program(tiny_model(n_layers=1), BF16, default_lanes())
    p.software(50.0, lane="worker")
    for _ in range(2):
        p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=3)
        p.attention(0)
    assert timed(p).step_end_s.tolist() == [1.0, 2.0]


def test_busy_seconds_count_work_and_leave_out_waiting() -> None:
    p = Program(tiny_model(n_layers=1), BF16, default_lanes(), n_slots=1)
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=3)
    p.wait(p.load(0, 0))
    p.software(2.0, lane=HOST_LANE)
    p.expert(0, 0, 1)
    schedule = p.schedule()
    machine = tiny_machine(stacks={"plain": stack(dispatch_s={"default": 0.5}, sync_s=0.25)})
    timeline = simulate(schedule, costs_of(schedule, machine))
    assert timeline.makespan_s == 0.5 + 10.0 + 0.25 + 0.5 + 2.0 + 0.5 + 1.0  # dispatching the wait overlaps the load
    assert timeline.busy_s("gpu0.h2d") == 10.0
    assert timeline.busy_s("gpu0") == 1.0
    assert timeline.busy_s("host") == 2.0 + 4 * 0.5
    assert timeline.busy_s("cpu") == 0.0


def test_dispatching_is_read_off_the_times() -> None:
    schedule = two_steps().schedule()
    machine = tiny_machine(stacks={"plain": stack(dispatch_s={"default": 0.25})})
    assert simulate(schedule, costs_of(schedule, machine)).dispatch_s == 6 * 0.25


def test_pieces_of_times_join_in_order() -> None:
    times = timed(two_steps()).times
    pieces = [Times(*(getattr(times, name)[part] for name in vars(times))) for part in (slice(0, 2), slice(2, None))]
    assert same(join_times(pieces), times)
    assert len(times) == 6
    assert np.array_equal(times.cancelled, np.zeros(6, bool))
