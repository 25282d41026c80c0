"""Fits recover what made-up measurements were made with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibrate.rooflines import Measured, fit_rooflines
from calibrate.sharing import PAIRS, WORKERS, fit_shared, together
from calibrate.tables import trust
from sim.machine import Curve

MOVED = {"gpu": 10.0, "cpu": 10.0, "copy": 20.0}
APART = {"gpu0": 0, "cpu": 1, "gpu0.h2d": 2}
ONE_SECOND = {together(who, ()): [1.0] for who in WORKERS}


def contended(capacity: float, noise: float = 0.0) -> dict[str, list[float]]:
    """What pairs take that share a capacity in proportion, a second each if alone."""
    samples = dict(ONE_SECOND)
    for pair in PAIRS:
        slow = max(1.0, sum(MOVED[who] for who in pair) / capacity)
        for who, other in (pair, pair[::-1]):
            samples[together(who, (other,))] = [slow - noise, slow, slow + noise]
    return samples


@given(st.floats(16, 29))
def test_the_shared_capacity_is_found_from_the_slowdowns(capacity: float) -> None:
    shared = fit_shared(contended(capacity, noise=0.01), MOVED, APART)
    assert shared.bytes_per_s == pytest.approx(capacity, rel=0.01)
    for measured, explained in shared.slowdowns.values():
        assert explained == pytest.approx(measured, rel=0.01)


def test_the_spread_of_a_capacity_is_that_of_its_misfit() -> None:
    exact = fit_shared(contended(25.0), MOVED, APART)
    assert exact.spread < 0.02
    samples = contended(25.0)
    for i, name in enumerate(name for name in list(samples) if "nobody" not in name):
        samples[name] = [seconds * (1.2 if i % 2 else 1 / 1.2) for seconds in samples[name]]
    assert fit_shared(samples, MOVED, APART).spread == pytest.approx(2 * np.sinh(np.log(1.2)), rel=0.15)
    assert fit_shared(contended(25.0), MOVED, dict.fromkeys(APART, 0)).spread == 0.0


def test_pairs_that_do_not_slow_each_other_share_nothing() -> None:
    shared = fit_shared(contended(1000.0), MOVED, APART)
    assert all(explained == pytest.approx(1.0) for _, explained in shared.slowdowns.values())
    assert shared.bytes_per_s >= 30


def test_pairs_on_one_core_say_nothing_about_memory() -> None:
    samples = contended(25.0)
    for who, other in (("cpu", "copy"), ("copy", "cpu")):
        samples[together(who, (other,))] = [9.0]
    shared = fit_shared(samples, MOVED, {"gpu0": 0, "cpu": 1, "gpu0.h2d": 1})
    assert shared.bytes_per_s == pytest.approx(25, rel=0.01)
    assert not any("cpu beside copy" in name for name in shared.slowdowns)
    alone = fit_shared(samples, MOVED, dict.fromkeys(APART, 0))
    assert alone.slowdowns == {}
    assert alone.bytes_per_s == 40


@given(st.floats(1e-6, 1e-4), st.floats(5e9, 5e11), st.floats(1e10, 1e13), st.sampled_from(["gate", "expert"]))
@settings(max_examples=25, deadline=None)
def test_a_roofline_is_recovered_from_points_on_it(fixed: float, bandwidth: float, rate: float, kind: str) -> None:
    points = []
    for tokens in 2 ** np.arange(10):
        read, flop = 1e8 + 1e4 * tokens, 1e8 * float(tokens)
        seconds = fixed + max(read / bandwidth, flop / rate)
        points.append(Measured("gpu", kind, "fp32", read, flop, seconds))
    (line,) = fit_rooflines(points, "made up")
    for point in points:
        back = line.fixed_s + max(point.read_bytes / line.bytes_per_s, point.flop / line.flop_per_s)
        assert back == pytest.approx(point.seconds, rel=0.05)
    assert (line.device, line.kind, line.precision) == ("gpu", kind, "fp32")
    assert "10 points" in line.source


def test_the_spread_of_a_roofline_is_the_scatter_of_the_points_around_it() -> None:
    dice = np.random.default_rng(1)
    for sigma in (0.02, 0.1):
        points = [
            Measured("gpu", "expert", "fp32", 1e8, 1e6 * n, float(1e-2 * np.exp(dice.normal(0, sigma))))
            for n in range(1, 200)
        ]
        (line,) = fit_rooflines(points, "made up")
        assert line.spread == pytest.approx(1.349 * sigma, rel=0.2)


def test_there_is_one_roofline_a_device_kind_and_precision() -> None:
    points = [
        Measured(device, kind, precision, 1e6 * n, 1e6 * n, 1e-3 * n)
        for device in ("gpu", "cpu") for kind in ("gate", "head") for precision in ("fp32", "bf16") for n in (1, 2, 3)
    ]  # fmt: skip
    assert len({(line.device, line.kind, line.precision) for line in fit_rooflines(points, "made up")}) == 8


def test_trust_leaves_each_inner_point_out_in_turn() -> None:
    straight = Curve(x=(1, 2, 4), seconds=(1, 2, 4), spread=(0.0, 0.3, 0.1))
    bent = Curve(x=(1, 2, 3), seconds=(1, 4, 3), spread=(0.0, 0.0, 0.1))
    found = trust([straight, bent])
    assert (found.points, found.worst_error) == (2, pytest.approx(0.5))
    assert found.median_error == pytest.approx(0.25)
    assert found.noisy_points == 1
    assert "leave-one-out over 2 points" in str(found)
    assert "noisy" in str(found)
    assert "noisy" not in str(trust([Curve(x=(1,), seconds=(1,))]))


def test_reading_the_weights_of_the_only_shape_is_not_taken_for_a_fixed_cost() -> None:
    tokens = 2.0 ** np.arange(10)
    quick = [Measured("gpu", "combine", "fp32", 1e4 * n, 1e4 * n, 1e-5 + 1e-6 * n) for n in tokens]
    expert = [Measured("gpu", "expert", "fp32", 1e8, 1e7 * n, 1e-4 + max(1e-2, 1e-5 * n)) for n in tokens]
    line = next(line for line in fit_rooflines(quick + expert, "made up") if line.kind == "expert")
    assert line.fixed_s <= 10 * 1.1e-5
    assert line.bytes_per_s == pytest.approx(1e10, rel=0.02)
