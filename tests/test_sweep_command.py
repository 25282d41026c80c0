from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from scenarios.cli import app
from tests.sweeps import SCENARIO, VARY, write_sweep
from tests.test_cli import COMMAND, moesim, refused

MANY = {"vary": VARY | {"seed": list(range(10))}}  # eight chunks


@contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """The command at work, in a session of its own; it is killed in the end."""
    command = [*COMMAND, "sweep", *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def parts(folder: Path) -> dict[str, int]:
    """Finished chunks, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "parts").glob("[0-9]*.parquet")}


def wait_for(process: subprocess.Popen[str], folder: Path, n: int) -> None:
    """Until so many chunks are finished."""
    while len(parts(folder)) < n:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def points(folder: Path, names: dict[str, int]) -> set[int]:
    tables = [parquet.read_table(folder / "parts" / name) for name in names]
    return {point for table in tables for point in table["point"].to_pylist()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """The sweep, and its table if nothing comes between."""
    folder = tmp_path_factory.mktemp("sweep")
    path = write_sweep(folder, **MANY)
    shown = moesim("sweep", path, "--out", folder / "whole", "--jobs", 2)
    assert "120 points, 120 rows: 0 failed, 120 feasible" in shown
    assert "knee" in shown
    return path, (folder / "whole" / "sweep.parquet").read_bytes()


def test_a_sweep_that_was_killed_twice_ends_as_if_it_had_not(whole: tuple[Path, bytes], tmp_path: Path) -> None:
    path, expected = whole
    out = tmp_path / "out"
    found: list[dict[str, int]] = [{}]
    for more in (2, 3):
        with started(path, "--out", out, "--jobs", "1") as process:
            wait_for(process, out, len(found[-1]) + more)
            process.kill()
        found.append(parts(out))
    _, first, second = found
    assert second.items() > first.items()  # what was finished was not even touched
    left, then = points(out, first), points(out, {name: at for name, at in second.items() if name not in first})
    assert 0 < len(left) < len(left | then) < 120
    assert not left & then
    ended = json.loads(moesim("sweep", path, "--out", out, "--jobs", 1, "--json"))
    assert (ended["points"], ended["failed"]) == (120, 0)
    assert (out / "sweep.parquet").read_bytes() == expected


def test_ctrl_c_says_how_far_it_came_and_how_to_go_on(whole: tuple[Path, bytes], tmp_path: Path) -> None:
    path, _ = whole
    out = tmp_path / "out"
    with started(path, "--out", out, "--jobs", "1") as process:
        wait_for(process, out, 2)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to its workers too
        _, errors = process.communicate(timeout=60)
    left = points(out, parts(out))
    assert process.returncode == 130
    assert errors == f"moesim: interrupted, {len(left)} of 120 points done; start again to go on\n"


def test_a_finished_sweep_is_only_shown_again(whole: tuple[Path, bytes]) -> None:
    path, _ = whole
    first = json.loads(moesim("sweep", path, "--out", path.parent / "whole", "--json"))
    assert first["points"] == 120
    assert {row["point"] for row in first["front"]} >= {first["knee"]}
    assert all(row["pareto"] for row in first["front"])


def test_dry_run_only_counts(tmp_path: Path) -> None:
    path = write_sweep(tmp_path, scenario=SCENARIO | {"strategies": ["cache", "on-demand"]})
    shown = moesim("sweep", path, "--dry-run", "--jobs", 2, "--out", tmp_path / "out")
    assert shown.startswith("12 points, 24 rows, 8 plans; about ")
    assert shown.endswith(" with 2 processes\n")
    assert json.loads(moesim("sweep", path, "--dry-run", "--json"))["plans"] == 8
    assert not (tmp_path / "out").exists()


def test_a_bad_file_or_place_is_refused_in_a_line(tmp_path: Path) -> None:
    path = write_sweep(tmp_path, vary={"cahce": [4]})
    assert refused("sweep", path).startswith(f"{path}:13: vary.cahce: cahce: there is no such field")
    path = write_sweep(tmp_path)
    assert refused("sweep", path, "--on", "moon", "--out", tmp_path / "a").startswith("--on: is nothing that a sweep")
    (tmp_path / "file").touch()
    assert "is not a folder" in refused("sweep", path, "--out", tmp_path / "file")
    assert refused("sweep", "nothing").startswith("no such sweep (got 'nothing')")


def test_values_that_cannot_be_are_said_and_their_points_counted(tmp_path: Path) -> None:
    path = write_sweep(tmp_path, vary={"cache": [4, "most", 99]})
    done = CliRunner().invoke(app, ["sweep", str(path), "--out", str(tmp_path / "out"), "--jobs", "1"])
    assert done.exit_code == 0
    assert done.stderr.startswith("! cache: no point can have 'most': cache: cannot be a cache size")
    assert "3 points, 3 rows: 2 failed, 1 feasible, 1 on the front" in done.stdout
    assert "! 1 failed: cache: tiny has only 8 routed experts (got 99)" in done.stdout


def test_the_command_does_not_read_what_it_does_not_need() -> None:
    """Optuna and Dask are extras."""
    code = "import sys; import scenarios.sweeping.run, scenarios.sweeping.executors; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"optuna", "distributed", "dask", "numba"} & set(done.stdout.split())
