from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyarrow import parquet

from scenarios.sweeping.executors import crew_on
from scenarios.sweeping.load import load_sweep
from scenarios.sweeping.run import run_sweep
from scenarios.sweeping.store import Store
from sim.errors import InputError
from tests.sweeps import VARY, swept, write_sweep

distributed = pytest.importorskip("distributed")

MANY = {"vary": VARY | {"seed": list(range(12))}}


@pytest.mark.filterwarnings("ignore")  # of Dask about sockets and loops that the killed worker leaves
def test_two_workers_of_which_one_is_killed_do_every_point_once(tmp_path: Path) -> None:
    sweep = load_sweep(write_sweep(tmp_path, **MANY))
    store = Store(tmp_path / "dask", sweep)
    saved: list[int] = []
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        victim = next(iter(cluster.workers.values())).process.process.pid

        def kill_one(done: int, total: int) -> None:
            saved.append(done)
            if len(saved) == 3:
                os.kill(victim, 9)

        with crew_on(f"dask={cluster.scheduler_address}", jobs=99) as crew:
            assert crew.workers == 2
            run_sweep(sweep, store, crew, kill_one)
    assert len(saved) > 4
    assert parquet.read_table(store.table)["point"].to_pylist() == list(range(144))
    swept(sweep, tmp_path / "local")
    assert store.table.read_bytes() == (tmp_path / "local" / "sweep.parquet").read_bytes()


def test_an_address_where_nobody_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.sweeping.executors._WAIT_S", 0.5)
    with (
        pytest.raises(InputError, match=r"--on: no scheduler answers \(got 'tcp://127\.0\.0\.1:9'\)"),
        crew_on("dask=tcp://127.0.0.1:9", 1),
    ):
        pass
