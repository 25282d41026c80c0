from __future__ import annotations

import numpy as np
import pytest

from sim.metrics import tally
from sim.over_time import OverTime, busy_between, over_time
from sim.program import GPU, H2D, Program, default_lanes
from sim.schedule import Phase, Reason
from sim.timeline import Timeline
from tests.hand_work import timed
from tests.machines import BF16, EXPERT_BYTES, busy_machine, tiny_model
from tests.runs import SETTINGS, SOME_CASES, every_setting, name_of, run


def program() -> Program:
    return Program(tiny_model(n_layers=1), BF16, default_lanes(), n_slots=2)


def two_steps() -> Timeline:
    """A prefill, 0–13 s, that loads one expert on demand and another ahead, 1–11–21 s; a decode step, 13–23 s."""
    p = program()
    p.begin_step(Phase.PREFILL, 0, sequences=1, tokens=4, context=4)
    gate = p.gate(0)
    p.load(0, 1, after=[gate])
    p.load(0, 2, reason=Reason.PREFETCH)
    p.head(after=[p.expert(0, 1, 4, reason=Reason.DEMAND)])
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=5)
    p.gate(0)
    p.head(after=[p.expert(0, 2, 1, reason=Reason.PREFETCHED)])
    return timed(p.schedule())


def lane(timeline: Timeline, name: str) -> int:
    return timeline.schedule.lane_index[name]


def test_two_steps_worked_by_hand() -> None:
    timeline = two_steps()
    steps = over_time(timeline)
    assert steps.step_s.tolist() == [13, 10]
    assert (steps.uses.tolist(), steps.hits.tolist(), steps.hit_rate.tolist()) == ([1, 1], [0, 1], [0, 1])
    assert steps.loaded_bytes[:, Reason.DEMAND].tolist() == [EXPERT_BYTES, 0]
    assert steps.loaded_bytes[:, Reason.PREFETCH].tolist() == [EXPERT_BYTES, 0], "of the step that asked for it"
    assert steps.loaded_bytes.sum() == 2 * EXPERT_BYTES
    assert steps.busy_s[:, lane(timeline, H2D)].tolist() == [12, 8], "of the step in which the link works"
    assert steps.busy_s[:, lane(timeline, GPU)].tolist() == [3, 3]
    assert steps.busy[:, lane(timeline, GPU)].tolist() == [3 / 13, 3 / 10]


@pytest.mark.parametrize(("phase", "step_s"), [(Phase.PREFILL, [13]), (Phase.DECODE, [10])])
def test_the_steps_of_one_phase(phase: Phase, step_s: list[float]) -> None:
    assert over_time(two_steps(), phase).step_s.tolist() == step_s


def test_where_nothing_is_used_there_is_no_hit_rate() -> None:
    p = program()
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    p.head()
    assert np.isnan(over_time(timed(p.schedule())).hit_rate).tolist() == [True]


def test_loads_before_the_first_step_count_with_it() -> None:
    p = program()
    p.load(0, 0, reason=Reason.PLACEMENT)
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    p.head()
    assert over_time(timed(p.schedule())).loaded_bytes.tolist()[0][Reason.PLACEMENT] == EXPERT_BYTES


def test_a_run_without_steps_has_no_points() -> None:
    steps = over_time(timed(program().schedule()))
    assert len(steps.steps) == len(steps.hit_rate) == len(steps.busy) == 0


def test_bins_add_up_consecutive_steps() -> None:
    n = np.arange(7)
    steps = OverTime(np.ones(7, int), n + 1.0, 2 * n, n, np.stack((n, n), 1), np.stack((n / 2, n / 4), 1))
    bins = steps.binned(3)
    assert bins.steps.tolist() == [3, 3, 1]
    assert bins.step_s.tolist() == [2, 5, 7]
    assert bins.hits.tolist() == [0 + 1 + 2, 3 + 4 + 5, 6]
    assert bins.hit_rate.tolist() == [0.5, 0.5, 0.5]
    assert bins.loaded_bytes[:, 1].tolist() == [3, 12, 6]
    assert bins.busy[:, 1].tolist() == [0.75 / 6, 3 / 15, 1.5 / 7]
    assert steps.binned(7) is steps


def test_the_host_dispatches_in_the_step_in_which_it_does() -> None:
    """Each op costs 1/8 s of dispatch; the host turns to the third one, a wait, once it has issued the other two."""
    p = program()
    p.begin_step(Phase.DECODE, 0, sequences=1, tokens=1, context=1)
    p.wait(p.head())
    p.head()
    timeline = timed(p.schedule(), busy_machine())
    moments = np.array([0.0, 0.0625, 0.125, timeline.makespan_s])
    assert busy_between(timeline, moments)[:, 0].tolist() == [0.0625, 0.0625, timeline.busy_s("host") - 0.125]


@every_setting
def test_sums_over_steps_are_those_of_the_run(setting: str) -> None:
    for case in SOME_CASES[list(SETTINGS).index(setting) % 7 :: 7]:
        timeline = run(case, setting)
        steps, counts = over_time(timeline), tally(timeline.schedule.ops, timeline.times.cancelled)
        found = steps.uses.sum(), steps.hits.sum(), steps.loaded_bytes.sum()
        assert found == (counts.uses, counts.from_cache, counts.bytes_loaded), name_of(case)
        moments = np.array([0.0, *timeline.step_end_s, timeline.makespan_s])
        busy_s = busy_between(timeline, moments)
        assert (busy_s >= 0).all()
        assert (busy_s <= np.diff(moments)[:, None] + 1e-9).all(), name_of(case)
        expected = [timeline.busy_s(each.name) for each in timeline.schedule.lanes]
        np.testing.assert_allclose(busy_s.sum(axis=0), expected, rtol=1e-9, atol=1e-9, err_msg=name_of(case))
        np.testing.assert_array_equal(steps.busy_s, busy_s[:-1])
