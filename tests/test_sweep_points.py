from __future__ import annotations

import itertools
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scenarios.sweeping.axes import Axis
from scenarios.sweeping.points import Grid, changes, chunks, drawn, plans
from tests.sweeps import small_sweep

PATHS = ("seed", "cache", "predictor.recall", "machine", "machine_with.link.gb_per_s", "stack")
AXES = st.lists(st.sampled_from(PATHS), min_size=1, max_size=4, unique=True).flatmap(
    lambda paths: st.tuples(*(st.integers(1, 7).map(lambda n, p=path: Axis(p, tuple(range(n)))) for path in paths))  # type: ignore[misc]
)
ON_PLANS = ("seed", "cache", "predictor.recall")


@given(AXES)
def test_a_grid_has_every_combination_in_order(axes: tuple[Axis, ...]) -> None:
    expected = list(itertools.product(*(range(len(axis.values)) for axis in axes)))
    assert list(Grid(axes)) == expected
    assert Grid(axes)[1:3] == expected[1:3]


@given(AXES, st.integers(0, 50), st.integers(1, 9))
def test_chunks_hold_each_point_once_with_its_choices(axes: tuple[Axis, ...], first: int, strategies: int) -> None:
    points = Grid(axes)
    cut = list(chunks(axes, points, first, strategies))
    numbers = [number for chunk in cut for number in chunk.points]
    assert sorted(numbers) == list(range(first, first + len(points)))
    assert all(points[n - first] == c for chunk in cut for n, c in zip(chunk.points, chunk.choices, strict=True))


@given(AXES)
def test_points_that_differ_in_the_machine_alone_share_a_plan(axes: tuple[Axis, ...]) -> None:
    points = Grid(axes)
    common = [i for i, axis in enumerate(axes) if axis.path in ON_PLANS]
    for group in plans(axes, points).values():
        assert len({tuple(points[n][i] for i in common) for n in group}) == 1
    assert len(plans(axes, points)) == len({tuple(point[i] for i in common) for point in points})


def test_a_chunk_never_loses_much_and_routing_changes_as_seldom_as_it_can() -> None:
    axes = (Axis("machine", tuple(range(300))), Axis("cache", (1, 2)), Axis("seed", (1, 2, 3)))
    cut = list(chunks(axes, Grid(axes)))
    assert max(len(chunk.points) for chunk in cut) == 100
    seeds = [choices[2] for chunk in cut for choices in chunk.choices]
    assert seeds == sorted(seeds)
    alone = (Axis("cache", tuple(range(100))),)
    assert {len(chunk.points) for chunk in chunks(alone, Grid(alone))} == {5}
    assert {len(chunk.points) for chunk in chunks(alone, Grid(alone), n_strategies=50)} == {1}


def test_random_points_differ_and_depend_on_the_seed_alone(tmp_path: Path) -> None:
    vary = {"cache": [4, 5, 6], "machine_with.link.gb_per_s": {"from": 1, "to": 100, "scale": "log"}}
    axes = small_sweep(tmp_path, vary=vary, method="random", points=1).axes
    points = drawn(axes, 400, seed=3)
    assert len(set(points)) == 400
    assert points == drawn(axes, 400, seed=3) != drawn(axes, 400, seed=4)
    assert points[:100] == drawn(axes, 100, seed=3)
    rates = [changes(axes, point)["machine_with.link.gb_per_s"] for point in points]
    assert all(1 <= rate <= 100 for rate in rates)
    assert 140 < sum(rate < 10 for rate in rates) < 260  # half of a logarithmic scale
    assert {int(cache) for cache, _ in points} == {0, 1, 2}


def test_random_points_run_out_where_there_are_no_more() -> None:
    axes = (Axis("cache", (4, 5, 6)), Axis("seed", (0, 1)))
    for wanted in (2, 5, 6, 99):
        points = drawn(axes, wanted, seed=0)
        assert len(points) == len(set(points)) == min(wanted, 6)


def test_a_whole_is_set_before_its_parts() -> None:
    axes = (Axis("strategies.0.miss", ("cpu",)), Axis("strategies.0", ({"name": "cache"},)), Axis("cache", (4,)))
    assert list(changes(axes, (0, 0, 0))) == ["cache", "strategies.0", "strategies.0.miss"]
