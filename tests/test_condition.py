from __future__ import annotations

import numpy as np
import pytest

from calibrate.condition import condition_of, tagged, untagged
from sim.condition import condition
from sim.timeline import Timeline, Times
from tests.hardware import GPU, Written
from tests.machines import tiny_machine


def test_all_samples_count_and_their_condition_is_told_beside_them() -> None:
    samples = tagged("expert", [1.0, 5.0], [1e-10, 2e-10]) | tagged("copy", [2.0], [1e-10]) | {"sync": [7.0]}
    assert untagged(samples) == {"expert": [1.0, 5.0], "copy": [2.0], "sync": [7.0]}
    found = condition_of(samples)
    assert found.bytes_per_s == pytest.approx(1e10)
    assert found.spread == pytest.approx(0.5)
    assert "10.0 GB/s, IQR/median 50%" in str(found)


def run(**meta: object) -> Timeline:
    w = Written()
    w.op(GPU)
    column = np.zeros(1)
    return Timeline(w.schedule(), Times(column, column, column, column > 0), "measured", dict(meta))


def test_a_runs_condition_is_relative_to_the_calibrations() -> None:
    machine = tiny_machine(fingerprint={"read_bytes_per_s": "2e10"})
    speeds = {"condition_before": {"read_bytes_per_s": 1.9e10}, "condition_after": {"read_bytes_per_s": 1.6e10}}
    assert condition(run(**speeds), machine) == pytest.approx(0.875)
    assert condition(run(), machine) is None
    assert condition(run(**speeds), tiny_machine()) is None
