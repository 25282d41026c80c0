from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.curve import read_curve
from sim.machine import Curve

CURVE = Curve(x=(10.0, 20.0, 40.0), seconds=(3.0, 4.0, 8.0))
sizes = st.floats(1.0, 1e12)


@pytest.mark.parametrize(("x", "seconds"), [(10, 3.0), (20, 4.0), (40, 8.0)])
def test_a_measured_point_is_read_exactly(x: float, seconds: float) -> None:
    reading = read_curve(CURVE, x)
    assert (reading.seconds, reading.beyond) == (seconds, False)


def test_between_points_the_line_is_straight() -> None:
    assert read_curve(CURVE, 15).seconds == 3.5
    assert read_curve(CURVE, 35).seconds == 7.0
    assert not read_curve(CURVE, 15).beyond


def test_below_the_first_point_its_fixed_cost_stands() -> None:
    reading = read_curve(CURVE, 1)
    assert (reading.seconds, reading.beyond) == (3.0, True)


def test_above_the_last_point_its_slope_goes_on() -> None:
    reading = read_curve(CURVE, 50)
    assert (reading.seconds, reading.beyond) == (10.0, True)


def test_a_falling_end_is_not_followed_below_what_was_measured() -> None:
    noisy = Curve(x=(1.0, 2.0), seconds=(5.0, 4.0))
    assert read_curve(noisy, 1000).seconds == 4.0


def test_a_single_point_stands_below_and_grows_in_proportion_above() -> None:
    single = Curve(x=(100.0,), seconds=(2.0,))
    assert [read_curve(single, x).seconds for x in (1, 100, 300)] == [2.0, 2.0, 6.0]
    assert [read_curve(single, x).beyond for x in (1, 100, 300)] == [True, False, True]


@given(st.lists(st.tuples(sizes, sizes), min_size=1, max_size=8, unique_by=lambda point: point[0]), sizes)
def test_inside_the_measured_range_a_reading_lies_between_its_neighbours(
    points: list[tuple[float, float]], x: float
) -> None:
    xs, seconds = zip(*sorted(points), strict=True)
    reading = read_curve(Curve(x=xs, seconds=seconds), x)
    assert reading.beyond == (not xs[0] <= x <= xs[-1])
    assert reading.seconds > 0
    if not reading.beyond:
        below = max(i for i, at in enumerate(xs) if at <= x)
        near = seconds[below : below + 2] if x > xs[below] else seconds[below : below + 1]
        assert min(near) * (1 - 1e-9) <= reading.seconds <= max(near) * (1 + 1e-9)
