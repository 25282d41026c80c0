from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from typer.testing import CliRunner

from scenarios.cli import app
from scenarios.explore.columns import short
from scenarios.explore.figures import HEADINGS
from scenarios.explore.page import data, render, shown_rows
from scenarios.explore.table import read_sweep
from scenarios.sweeping.figures import FIGURES
from sim.errors import FormatError, InputError
from tests.report_pages import data_of, read_page
from tests.scenario_files import write_files
from tests.sweep_tables import OBJECTIVES, Row, grid_rows, write_sweep

MOST_BYTES = 8_000_000


def values(column: dict[str, Any]) -> list[Any]:
    return [column["names"][code] for code in column["codes"]] if "codes" in column else column["values"]


def test_every_figure_of_a_sweep_has_a_heading() -> None:
    assert list(HEADINGS) == list(FIGURES)


def test_the_page_holds_every_evaluated_row(tmp_path: Path) -> None:
    page = data_of(read_page(render(read_sweep(write_sweep(tmp_path)))))
    done = [row for row in grid_rows() if row["status"] == "done"]
    assert page["points"] == [row["point"] for row in done]
    columns = {column["key"]: column for column in page["columns"]}
    assert list(columns)[:4] == ["strategy", "cache", "machine_with.link.gb_per_s", "strategies.0.policy"]
    for key, column in columns.items():
        expected = [row[key] for row in done]
        assert values(column) == (pytest.approx(expected, rel=1e-5) if "values" in column else expected)
    assert [int(flag) for flag in page["feasible"]] == [row["feasible"] for row in done]
    assert columns["decode_tokens_per_s"]["better"] == "higher"
    assert columns["ttft_s"]["unit"] == "s"


def test_the_page_says_what_is_best_and_what_failed(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, constraints=[{"figure": "gpu_gb", "at_most": 60.0, "at_least": None}])
    html = render(read_sweep(folder))
    page = read_page(html)
    best = max((row for row in grid_rows() if row["feasible"]), key=lambda row: row["decode_tokens_per_s"])
    (verdict,) = page.find("p", class_="verdict")
    where = f"cache {best['cache']}, link.gb_per_s 100, policy of 1 lfu"
    assert verdict.text == f"Decode is best with {best['strategy']} at {where}: 12.5 tok/s."
    (failed,) = page.find("section", id="failed")
    assert "12 runs gave no figures" in failed.text
    assert "cache does not fit: 90 GB > 50 GB usable" in failed.text
    facts = page.find("p", class_="facts")[0].text
    assert "84 points, grid" in facts
    assert "156 runs" in facts
    outside = html.replace("http://www.w3.org/", "").split('<script id="data"')[1]
    assert "http" not in outside  # but in Plotly, which never asks for what it names
    assert "'unsafe-eval'" in html


def test_an_axis_of_one_value_is_stated_but_not_drawn(tmp_path: Path) -> None:
    rows = [row | {"seed": 7} for row in grid_rows()]
    table = read_sweep(write_sweep(tmp_path, rows, axes=["cache", "machine_with.link.gb_per_s", "seed"]))
    page = data(table, range(table.rows))
    assert page["fixed"] == {"seed": 7}
    assert "seed" not in [column["key"] for column in page["columns"]]


def test_a_row_knows_its_strategy_by_its_place_in_the_point(tmp_path: Path) -> None:
    rows = grid_rows()
    table = read_sweep(write_sweep(tmp_path, rows))
    expected = [["fetch", "cpu"].index(row["strategy"]) for row in rows if row["status"] == "done"]
    assert table.nth == expected


def test_titles_that_would_be_the_same_stay_paths(tmp_path: Path) -> None:
    rows = [row | {"workload.batch": 1 + row["point"] % 2, "trace.batch": 1 + row["point"] % 3} for row in grid_rows()]
    table = read_sweep(write_sweep(tmp_path, rows, axes=["cache", "workload.batch", "trace.batch"]))
    titles = [c["title"] for c in data(table, range(table.rows))["columns"] if c["role"] == "axis"]
    assert titles == ["cache", "workload.batch", "trace.batch"]


def many(n: int) -> list[Row]:
    """Rows of random numbers in all figures; every hundredth is on the front."""
    rng = np.random.default_rng(0)
    names = [*FIGURES, "cache", "machine_with.link.gb_per_s", "predictor.recall"]
    numbers = rng.random((n, len(names))).tolist()
    common: Row = {"status": "done", "reason": None, "feasible": True}
    return [
        dict(zip(names, line, strict=True)) | common | {"point": i, "strategy": f"s{i % 7}", "pareto": i % 100 == 3}
        for i, line in enumerate(numbers)
    ]


def test_ten_thousand_points_all_fit_the_page(tmp_path: Path) -> None:
    table = read_sweep(write_sweep(tmp_path, many(10_000), axes=["cache", "machine_with.link.gb_per_s"]))
    assert len(shown_rows(table)) == 10_000
    html = render(table)
    assert len(html.encode()) < MOST_BYTES
    assert render(table) == html


def test_very_many_points_are_thinned_but_for_the_front(tmp_path: Path) -> None:
    table = read_sweep(write_sweep(tmp_path, many(60_000), axes=["cache", "machine_with.link.gb_per_s"]))
    rows = shown_rows(table)
    assert rows == sorted(set(rows))
    assert set(range(3, 60_000, 100)) <= set(rows)
    assert np.diff(rows).max() < 7
    html = render(table)
    assert len(html.encode()) < MOST_BYTES
    assert f"holds {len(rows):,} of 60,000 runs" in html


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**60), 2**60))
def test_numbers_keep_six_digits(value: float) -> None:
    found = short(value)
    assert found == json.loads(json.dumps(found, allow_nan=False))
    if isinstance(value, int):
        assert found == value
    elif math.isfinite(value):
        assert found == pytest.approx(value, rel=5e-6, abs=1e-320)
        assert len(json.dumps(found).replace("-", "").replace(".", "").split("e")[0].strip("0")) <= 6
    else:
        assert found is None


def test_what_cannot_be_told_is_escaped(tmp_path: Path) -> None:
    rows = [row | {"strategy": "</script><b>&", "reason": row["reason"] and "<i>"} for row in grid_rows()]
    html = render(read_sweep(write_sweep(tmp_path, rows)))
    page = read_page(html)
    assert values(data_of(page)["columns"][0])[0] == "</script><b>&"
    assert "</script><b>" not in html


def test_what_is_no_sweep_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such sweep"):
        read_sweep(tmp_path)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 nothing")
    with pytest.raises(FormatError, match="is not a Parquet file"):
        read_sweep(broken)
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(FormatError, match="is not the table of a sweep"):
        read_sweep(tmp_path / "other.parquet")
    for said in ("[]", "{", '{"axes": [], "objectives": []}', '{"axes": [], "objectives": [{"figure": "speed"}]}'):
        table = pa.table({"point": [1]}).replace_schema_metadata({b"moesim.sweep": said.encode()})
        parquet.write_table(table, tmp_path / "said.parquet")
        with pytest.raises(FormatError, match="makes no sense"):
            read_sweep(tmp_path / "said.parquet")
    asked = json.dumps({"axes": ["cache"], "objectives": OBJECTIVES}).encode()
    parquet.write_table(
        pa.table({"point": [1]}).replace_schema_metadata({b"moesim.sweep": asked}), tmp_path / "said.parquet"
    )
    with pytest.raises(FormatError, match="strategy: lacks a column"):
        read_sweep(tmp_path / "said.parquet")


def test_a_sweep_whose_points_all_failed_says_why(tmp_path: Path) -> None:
    rows = [row | {"status": "failed", "reason": "nothing fits"} for row in grid_rows()]
    done = CliRunner().invoke(app, ["explore", str(write_sweep(tmp_path / "sweep", rows))])
    assert done.exit_code == 2
    assert "no point of sweep was evaluated: nothing fits" in done.output
    assert not (tmp_path / "sweep" / "explore.html").exists()


def test_the_command_writes_the_page_beside_the_sweep_or_where_it_is_told(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "sweep")
    done = CliRunner().invoke(app, ["explore", str(folder)])
    assert done.exit_code == 0, done.output
    page = (folder / "explore.html").read_text(encoding="utf-8")
    elsewhere = tmp_path / "new" / "page.html"
    again = CliRunner().invoke(app, ["explore", str(folder / "sweep.parquet"), "--out", str(elsewhere)])
    assert again.exit_code == 0, again.output
    assert elsewhere.read_text(encoding="utf-8") == page
    assert CliRunner().invoke(app, ["explore", str(folder), "--out", str(tmp_path)]).exit_code == 2


def test_what_moesim_sweep_writes_can_be_explored(tmp_path: Path) -> None:
    write_files(tmp_path)
    sweep = """\
scenario: scenario.yaml
vary:
  cache: [1, 2, 4]
  machine_with.link.gb_per_s: {from: 0.5, to: 8, steps: 3, scale: log}
  strategies.4.priority: [true, false]
constraints: [{figure: gpu_gb, at_most: 0.0009}]
"""
    (tmp_path / "sweep.yaml").write_text(sweep, encoding="utf-8")
    made = CliRunner().invoke(app, ["sweep", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "s"), "--jobs", "1"])
    assert made.exit_code == 0, made.output
    table = read_sweep(tmp_path / "s")
    page = data(table, range(table.rows))
    assert table.points == 18
    assert {c["key"] for c in page["columns"] if c["role"] == "axis"} == set(table.axes)
    assert "priority of 5" in [c["title"] for c in page["columns"]]
    assert "0" in page["feasible"]
    assert page["scenario"]["strategies"][3]["label"] == "lru"
    assert page["constraints"][0]["at_most"] == 0.0009
    assert len(render(table).encode()) < MOST_BYTES
