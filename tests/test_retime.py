"""The compiled engine against the reference engine and the brute-force timer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from sim.cost import Costs
from sim.engine import simulate
from sim.retime import Retimer, slow_because
from sim.schedule import Schedule
from tests.blocks import to_costs, to_lanes, to_ops
from tests.machines import BF16, tiny_model
from tests.reference_timer import time_schedule
from tests.strategies import RandomSchedule, random_schedules

needs_numba = pytest.mark.skipif(slow_because() is not None, reason="needs Numba")
pytestmark = needs_numba


def scheduled(case: RandomSchedule) -> tuple[Schedule, Costs]:
    ops, lanes, capacities = case
    schedule = Schedule(to_ops(ops), tuple(to_lanes(lanes)), (), tiny_model(), BF16)
    return schedule, to_costs(ops, capacities)


@given(random_schedules(sharing=False))
def test_equals_both_others_to_the_bit_without_sharing(case: RandomSchedule) -> None:
    schedule, costs = scheduled(case)
    times, reference = Retimer(schedule).times(costs), simulate(schedule, costs).times
    for name, column in vars(reference).items():
        np.testing.assert_array_equal(getattr(times, name), column)
    columns = np.stack([times.dispatched_s, times.start_s, times.end_s], axis=1)
    np.testing.assert_array_equal(columns, time_schedule(*case))


@given(random_schedules(sharing=True))
def test_equals_both_others_with_sharing(case: RandomSchedule) -> None:
    schedule, costs = scheduled(case)
    times, reference = Retimer(schedule).times(costs), simulate(schedule, costs).times
    for name, column in vars(reference).items():
        np.testing.assert_allclose(getattr(times, name), column, rtol=1e-9, atol=1e-12)
    columns = np.stack([times.dispatched_s, times.start_s, times.end_s], axis=1)
    np.testing.assert_allclose(columns, time_schedule(*case), rtol=1e-9, atol=1e-12)
