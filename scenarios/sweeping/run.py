"""Running a sweep: its points are chosen, those that have no rows yet evaluated, and all put into one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scenarios.sweeping.columns import Row
from scenarios.sweeping.crew import Crew
from scenarios.sweeping.load import Sweep
from scenarios.sweeping.points import Choices, Grid, chunks, drawn
from scenarios.sweeping.store import Store

Progress = Callable[[int, int], None]  # points done, of all


def points_of(sweep: Sweep) -> Sequence[Choices]:
    """The points of a grid or of a random choice."""
    if sweep.spec.method == "grid":
        return Grid(sweep.axes)
    assert sweep.spec.points is not None  # the schema sees to it
    return drawn(sweep.axes, sweep.spec.points, sweep.spec.seed)


def run_sweep(sweep: Sweep, store: Store, crew: Crew, progress: Progress = lambda done, total: None) -> list[Row]:
    """Evaluate what has not been evaluated yet, and finish the store; returns all rows."""
    with store.claimed():
        if not store.table.is_file():
            points = points_of(sweep)
            done = store.done()
            _fill(sweep, store, crew, points, done, len(points), progress)
            store.finish()
        return store.rows()


def _fill(
    sweep: Sweep, store: Store, crew: Crew, points: Sequence[Choices], done: set[int], total: int, progress: Progress
) -> None:
    """Rows for those points that have none."""
    progress(len(done), total)
    todo = (chunk.without(done) for chunk in chunks(sweep.axes, points, n_strategies=sweep.n_strategies))
    n_done = len(done)
    for rows in crew.evaluate(sweep.ground, (chunk for chunk in todo if chunk.points)):
        store.save(rows)
        n_done += len({row["point"] for row in rows})
        progress(n_done, total)
