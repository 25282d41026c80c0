"""Equal inputs give equal bytes, in one process and across processes with other hash seeds; files load back equal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from sim.cost import costs_of
from sim.engine import simulate
from sim.plan import plan
from sim.schedule import Schedule
from sim.strategies.registry import make_strategy
from sim.timeline import Timeline
from tests.equality import differences
from tests.machines import BF16, busy_machine, tiny_costs, tiny_model
from tests.runs import SETTINGS, SOME_CASES, check_all, digest, every_setting, name_of, planned
from tests.traces import random_trace


def test_planning_and_simulating_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    different = []
    for case in SOME_CASES:
        saved = []
        for _ in range(2):
            schedule = planned(case, SETTINGS["missing ids"])
            schedule.save(tmp_path / "schedule")
            simulate(schedule, costs_of(schedule, busy_machine())).save(tmp_path / "timeline")
            saved.append([(tmp_path / name).read_bytes() for name in ("schedule", "timeline")])
        if saved[0] != saved[1]:
            different.append(name_of(case))
    assert not different


def test_other_hash_seeds_give_the_same_bytes() -> None:
    here = digest("batch")
    for seed in ("1", "4242"):
        there = subprocess.run(
            [sys.executable, "-m", "tests.runs"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here


@every_setting
def test_schedules_and_timelines_load_back_equal(setting: str, tmp_path: Path) -> None:
    def fault(timeline: Timeline) -> object:
        timeline.schedule.save(tmp_path / "schedule")
        timeline.save(tmp_path / "timeline")
        schedule = Schedule.load(tmp_path / "schedule")
        again = Timeline.load(tmp_path / "timeline", schedule)
        return differences(timeline.schedule, schedule) + differences(timeline, again)

    check_all(setting, fault)


def test_a_strategy_may_be_planned_twice() -> None:
    """`start` forgets the run before."""
    trace = random_trace([(2, 6)], 2, 4, 2)
    for name, knobs in (("cache", {"policy": "lfu"}), ("layer-streaming", {}), ("oracle", {}), ("fiddler", {})):
        strategy = make_strategy(name, **knobs)
        first, second = (plan(strategy, tiny_model(), BF16, trace, cached=8, costs=tiny_costs()) for _ in range(2))
        assert np.array_equal(first.ops.slot, second.ops.slot)
        assert first.start_slots == second.start_slots
