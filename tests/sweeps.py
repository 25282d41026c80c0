"""A small sweep as a file, and crews that work on it without processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from scenarios.sweeping.crew import Crew
from scenarios.sweeping.load import Sweep, load_sweep
from scenarios.sweeping.run import run_sweep
from scenarios.sweeping.store import Store
from tests.scenario_files import write_files

SCENARIO: dict[str, Any] = {
    "model": "tiny.yaml",
    "precision": "fp32",
    "machine": "machine.json",
    "workload": {"prompt": 6, "output": 4},
    "predictor": {"recall": 0.5},
    "strategies": [{"name": "cache"}],
}
VARY: dict[str, Any] = {
    "cache": [4, 6],
    "strategies.0.policy": ["lru", "lfu"],
    "machine_with.link.gb_per_s": {"from": 0.5, "to": 2, "steps": 3, "scale": "log"},
}


def write_sweep(folder: Path, **fields: Any) -> Path:
    """Write the sweep, with some fields set, and the files that it names; returns its path."""
    write_files(folder)
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({"scenario": SCENARIO, "vary": VARY} | fields, sort_keys=False), encoding="utf-8")
    return path


def small_sweep(folder: Path, **fields: Any) -> Sweep:
    return load_sweep(write_sweep(folder, **fields))


@contextmanager
def threads(workers: int = 1) -> Iterator[Crew]:
    with ThreadPoolExecutor(workers) as executor:
        yield Crew(executor, workers)


def swept(sweep: Sweep, folder: Path, workers: int = 1) -> list[dict[str, Any]]:
    """The rows of a sweep, kept in a folder."""
    with threads(workers) as crew:
        return run_sweep(sweep, Store(folder, sweep), crew)


class Counting(Executor):
    """Passes calls on, keeps their points, and interrupts the sweep instead of passing on one too many."""

    def __init__(self, inner: Executor, most: int | None = None) -> None:
        self._inner, self._left = inner, most
        self.points: list[int] = []

    def submit(self, call: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self._left is not None:
            if not self._left:
                raise KeyboardInterrupt
            self._left -= 1
        self.points += args[1].points
        return self._inner.submit(call, *args, **kwargs)
