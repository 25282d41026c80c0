from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scenarios.load import load_scenario
from scenarios.validate import Validation, sum_up, validate_suite
from scenarios.validation_table import print_validation, verdict
from sim.cost import costs_of
from sim.engine import simulate
from sim.errors import FormatError, InputError
from sim.machine import Kernel, Machine
from sim.schedule import Kind, Schedule
from sim.timeline import Timeline, Times
from tests.scenario_files import machine, read_json, write_files


def scaled(timeline: Timeline, factor: float) -> Timeline:
    times = timeline.times
    columns = (times.dispatched_s * factor, times.start_s * factor, times.end_s * factor, times.cancelled)
    return Timeline(timeline.schedule, Times(*columns), "measured")


def slower(*factors: float) -> Callable[[Schedule], list[Timeline]]:
    """Hardware that takes these multiples of the predicted time."""
    return lambda schedule: [scaled(simulate(schedule, costs_of(schedule, machine())), factor) for factor in factors]


def validated(folder: Path, execute: Callable[[Schedule], list[Timeline]]) -> Validation:
    return validate_suite("suite", [load_scenario(write_files(folder))], execute, progress=lambda text, share: None)


def test_an_exact_prediction_has_no_error_and_ranks_all_pairs_right(tmp_path: Path) -> None:
    found = validated(tmp_path, slower(1.0, 1.0))
    assert (found.median_error, found.p95_error, found.median_spread) == (0, 0, 0)
    assert found.tau == pytest.approx(1)
    assert found.right_pairs == found.clear_pairs > 20


def test_errors_are_predicted_over_measured_and_spreads_those_of_the_repeats(tmp_path: Path) -> None:
    found = validated(tmp_path, slower(1.2, 1.25, 1.3))
    assert found.median_error == pytest.approx(1 - 1 / 1.25)
    assert found.median_spread == pytest.approx(0.1 / 1.25)
    assert {each.label for each in found.schedules} >= {"stream", "lru", "oracle"}
    assert all(each.comparison.error == pytest.approx(1 / 1.25 - 1) for each in found.schedules)


def test_coverage_is_the_share_of_measured_times_within_the_ranges(tmp_path: Path) -> None:
    def uncertain(spread: float) -> Machine:
        lines = [line.model_copy(update={"spread": spread}) for line in machine().rooflines]
        curves = [link.curve.model_copy(update={"spread": (spread,) * 2}) for link in machine().links]
        links = [link.model_copy(update={"curve": c}) for link, c in zip(machine().links, curves, strict=True)]
        return machine().model_copy(update={"rooflines": tuple(lines), "links": tuple(links)})

    path = write_files(tmp_path)

    def validated(spread: float, factor: float) -> Validation:
        uncertain(spread).save(tmp_path / "machine.json")
        return validate_suite("s", [load_scenario(path)], slower(factor, factor), progress=lambda text, share: None)

    near, far = validated(0.2, 1.05), validated(0.02, 1.05)
    assert (near.coverage, far.coverage) == (1, 0)
    assert near.median_width is not None
    assert 0.1 < near.median_width < 2 * 1.645 * 0.2 / 1.349 * 1.05
    assert "coverage: 100 % of the measured times lie within the range" in "\n".join(verdict(near))
    assert [each.covered for each in far.schedules] == [False] * 8
    assert all(each.range_s is not None and each.range_s.low < each.range_s.high for each in far.schedules)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    found = validated(tmp_path, slower(1.0, 1.1))
    found.write_json(tmp_path / "validation.json")
    assert Validation.load(tmp_path / "validation.json") == found
    (tmp_path / "validation.json").write_text(found.to_json().replace('"title"', '"tilte"'), encoding="utf-8")
    with pytest.raises(FormatError, match=r"validation.json: title: .*make it again"):
        Validation.load(tmp_path / "validation.json")


def test_the_kind_that_was_mispredicted_is_named(tmp_path: Path) -> None:
    def slow_copies(schedule: Schedule) -> list[Timeline]:
        exact = simulate(schedule, costs_of(schedule, machine()))
        longer = exact.times.end_s.copy()
        loads = schedule.ops.kind == Kind.LOAD
        longer[loads] += (exact.times.end_s - exact.times.start_s)[loads]
        times = Times(exact.times.dispatched_s, exact.times.start_s, longer, exact.times.cancelled)
        return [Timeline(schedule, times, "measured")]

    found = validated(tmp_path, slow_copies)
    worst = found.kinds[0]
    assert (worst.kind, worst.lane) == ("load", "gpu0.h2d")
    assert worst.share_of_error == pytest.approx(1)
    assert worst.error == pytest.approx(-0.5)
    assert "load on gpu0.h2d, 100 % of what was mispredicted, in sum -50.0 %" in "\n".join(verdict(found))


def test_what_is_kept_says_the_same(tmp_path: Path) -> None:
    found = validated(tmp_path, slower(1.1, 1.2))
    found.write_json(tmp_path / "validation.json")
    kept = read_json(tmp_path / "validation.json")
    assert (kept["median_error"], kept["right_pairs"]) == (found.median_error, found.right_pairs)
    assert [each["label"] for each in kept["schedules"]] == [each.label for each in found.schedules]


def test_nothing_is_executed_if_any_scenario_cannot_be_resolved(tmp_path: Path) -> None:
    good = load_scenario(write_files(tmp_path))
    (tmp_path / "bad.yaml").write_text(
        (tmp_path / "scenario.yaml").read_text("utf-8").replace("tiny.yaml", "none"), "utf-8"
    )

    def never(schedule: Schedule) -> list[Timeline]:
        raise AssertionError("executed")

    with pytest.raises(InputError, match="unknown model"):
        validate_suite("suite", [good, load_scenario(tmp_path / "bad.yaml")], never, progress=lambda text, share: None)


def test_the_tables_show_every_schedule_and_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_validation(validated(tmp_path, slower(1.1, 1.1)))
    shown = capsys.readouterr().out
    assert shown.count("tiny question") == 8
    assert "-9.1 %" in shown
    assert "median 9.1 % (target 6 %), p95 9.1 % (target 15 %)" in shown
    assert "gpu0.h2d" in shown


def test_the_error_of_shapes_that_were_not_measured_is_told_apart(tmp_path: Path) -> None:
    path = write_files(tmp_path)

    def validated(shape: tuple[int, ...]) -> Validation:
        curve = machine().links[0].curve
        known = Kernel(device="gpu", kind="expert", shape=shape, precision="fp32", curve=curve, source="made up")
        machine().model_copy(update={"kernels": (known,)}).save(tmp_path / "machine.json")
        return validate_suite("s", [load_scenario(path)], slower(1.25), progress=lambda text, share: None)

    found = validated((1, 2, 3))
    assert [each.unseen for each in found.schedules] == [True] * len(found.schedules)
    assert found.unseen_schedules == len(found.schedules)
    assert found.unseen_median_error == found.median_error
    mixed = sum_up("s", "m", [replace(each, unseen=i > 1) for i, each in enumerate(found.schedules)])
    assert (mixed.unseen_schedules, len(mixed.schedules)) == (len(found.schedules) - 2, len(found.schedules))
    assert mixed.median_error == np.median([abs(each.comparison.error) for each in found.schedules[:2]])
    text = "\n".join(verdict(mixed))
    assert text.startswith("end-to-end error of 2 schedules: ")
    assert f"{mixed.unseen_schedules} schedules of shapes that calibration has not measured: median error" in text
    assert validated((64, 128, 3)).unseen_schedules == 0
