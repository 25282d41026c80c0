from __future__ import annotations

import os
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from scenarios.local_executor import LocalExecutor
from scenarios.sweeping.crew import Crew
from scenarios.sweeping.run import run_sweep
from scenarios.sweeping.store import Store
from sim.errors import MoesimError
from tests.sweeps import small_sweep, swept


class Losing(Executor):
    """Loses the chunks that hold a certain point, so many times."""

    def __init__(self, point: int, times: int, error: Exception) -> None:
        self.point, self.times, self.error, self.tries = point, times, error, []  # type: ignore[var-annotated]

    def submit(self, call: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        points = args[1].points
        if self.point in points and self.times:
            self.times -= 1
            self.tries.append(points)
            future.set_exception(self.error)
        else:
            future.set_result(call(*args, **kwargs))
        return future


def rows_with(executor: Executor, folder: Path, out: str) -> list[dict[str, Any]]:
    sweep = small_sweep(folder)
    return run_sweep(sweep, Store(folder / out, sweep), Crew(executor, 1))


def test_a_lost_chunk_is_done_again_point_by_point(tmp_path: Path) -> None:
    losing = Losing(point=4, times=2, error=MoesimError("gone"))
    rows_with(losing, tmp_path, "lost")
    assert [len(points) for points in losing.tries] == [12, 1]
    swept(small_sweep(tmp_path), tmp_path / "whole")
    assert (tmp_path / "lost" / "sweep.parquet").read_bytes() == (tmp_path / "whole" / "sweep.parquet").read_bytes()


def test_a_point_that_always_takes_its_worker_with_it_is_a_failed_row(tmp_path: Path) -> None:
    losing = Losing(point=4, times=99, error=MoesimError("gone"))
    found = rows_with(losing, tmp_path, "lost")
    assert losing.tries == [tuple(range(12)), (4,), (4,), (4,)]
    assert [row["status"] for row in found] == ["done"] * 4 + ["failed"] + ["done"] * 7
    assert found[4]["reason"] == "lost 3 times: gone"
    assert (found[4]["cache"], found[4]["strategies.0.policy"]) == (4, "lfu")


def test_an_executor_that_breaks_ends_the_sweep_which_can_go_on_later(tmp_path: Path) -> None:
    with pytest.raises(MoesimError, match=r"the workers are gone.*start again to go on"):
        rows_with(Losing(point=4, times=1, error=BrokenProcessPool("dead")), tmp_path, "out")
    assert len(swept(small_sweep(tmp_path), tmp_path / "out")) == 12


def test_a_local_process_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with LocalExecutor(1) as executor:
        executor.submit(os._exit, 1)
        rows_with(executor, tmp_path, "killed")
    swept(small_sweep(tmp_path), tmp_path / "whole")
    assert (tmp_path / "killed" / "sweep.parquet").read_bytes() == (tmp_path / "whole" / "sweep.parquet").read_bytes()
