from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from pyarrow import parquet

from scenarios.export import ops_table, write_csv, write_parquet
from sim.cost import costs_of
from sim.critical_path import Cause, critical_path
from sim.precision import PRECISIONS
from sim.schedule import COLUMNS, Kind, Phase, Reason
from sim.timeline import Timeline
from tests.machines import busy_machine
from tests.runs import SOME_CASES, name_of, run
from tests.strategies import RandomSchedule, random_schedules
from tests.test_critical_path import timed

SETTING = "dense first, shared expert"
RENAMED = {"context": "context_tokens"}
ABSENT = {"step": -1, "layer": -1, "expert": -1, "slot": -1}


def check_columns(table: pa.Table, timeline: Timeline) -> None:
    """The schedule and the times, from the table alone."""
    ops, times = timeline.schedule.ops, timeline.times
    words = {"kind": list(Kind), "reason": list(Reason)}
    names = {"lane": [lane.name for lane in timeline.schedule.lanes], "precision": list(PRECISIONS)}
    names |= {name: [each.name.lower() for each in of] for name, of in words.items()}
    for name in COLUMNS:
        found, column = table[RENAMED.get(name, name)].to_pylist(), getattr(ops, name)
        if name in names:
            found = [names[name].index(each) for each in found]
        none = ABSENT.get(name, float("nan"))
        np.testing.assert_array_equal([none if each is None else each for each in found], column)
    deps = [ops.dependencies(op).tolist() for op in range(len(ops))]
    assert table["deps"].to_pylist() == deps
    for name in ("dispatched_s", "start_s", "end_s", "cancelled"):
        np.testing.assert_array_equal(table[name].to_pylist(), getattr(times, name))
    assert table["duration_s"].to_pylist() == [
        end - start for end, start in zip(times.end_s, times.start_s, strict=True)
    ]


@pytest.mark.parametrize("case", SOME_CASES[::9], ids=name_of)
def test_parquet_holds_all_that_the_schedule_and_the_timeline_do(tmp_path: Path, case: tuple[str, tuple[()]]) -> None:
    timeline = run(case, SETTING)
    write_parquet(tmp_path / "ops.parquet", timeline)
    table = parquet.read_table(tmp_path / "ops.parquet")
    check_columns(table, timeline)
    assert table["op"].to_pylist() == list(range(len(timeline.schedule)))
    phases = [Phase(timeline.schedule.steps[step].phase).name.lower() for step in table["step"].to_pylist()]
    assert table["phase"].to_pylist() == phases
    assert table.schema.metadata[b"moesim.source"] == b"simulated"


def test_names_are_dictionaries_and_numbers_typed() -> None:
    schema = ops_table(run(SOME_CASES[0], SETTING)).schema
    named = {field.name for field in schema if pa.types.is_dictionary(field.type)}
    assert named == {"kind", "reason", "lane", "precision", "phase", "path_cause"}
    for name, type_ in (("size_bytes", pa.int64()), ("start_s", pa.float64()), ("cancelled", pa.bool_())):
        assert schema.field(name).type == type_


def test_csv_says_the_same_with_all_digits(tmp_path: Path) -> None:
    timeline = run(SOME_CASES[-1], SETTING)
    table = ops_table(timeline)
    write_csv(tmp_path / "ops.csv", timeline)
    with (tmp_path / "ops.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == table.column_names
    for row, wanted in zip(rows, table.to_pylist(), strict=True):
        for name, value in wanted.items():
            assert row[name] == "" if value is None else read_as(value, row[name]) == value


def read_as(value: object, text: str) -> object:
    match value:
        case bool():
            return {"true": True, "false": False}[text]
        case list():
            return [int(each) for each in text.split()]
    return type(value)(text)


@settings(max_examples=60)
@given(random_schedules())
def test_seconds_on_the_path_add_up_to_the_makespan_and_to_each_cause(case: RandomSchedule) -> None:
    timeline, costs = timed(case)
    table, path = ops_table(timeline, costs), critical_path(timeline, costs)
    seconds = table["path_s"].to_numpy()
    assert seconds.sum() == pytest.approx(timeline.makespan_s)
    assert table["on_path"].to_pylist() == [each > 0 for each in seconds]
    assert [cause is not None for cause in table["path_cause"].to_pylist()] == table["on_path"].to_pylist()
    by_cause = np.zeros((len(timeline.schedule), len(Cause)))
    np.add.at(by_cause, (path.op, path.cause), path.segment_s)
    labels = [cause.label for cause in Cause]
    for row, label in zip(by_cause, table["path_cause"].to_pylist(), strict=True):
        assert label is None or row[labels.index(label)] == pytest.approx(row.max())


def test_equal_timelines_give_equal_files(tmp_path: Path) -> None:
    timeline = run(SOME_CASES[0], SETTING)
    costs = costs_of(timeline.schedule, busy_machine())
    for name, write in (("ops.csv", write_csv), ("ops.parquet", write_parquet)):
        for folder in ("a", "b"):
            write(tmp_path / folder / name, timeline, costs)
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
