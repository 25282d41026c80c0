"""Equal inputs give equal bytes, in one process and across processes with other hash seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sim.cost import costs_of
from sim.engine import simulate
from tests.machines import busy_machine
from tests.runs import SOME_CASES, SETTINGS, digest, name_of, planned


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
