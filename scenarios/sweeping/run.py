"""Running a sweep: its points are chosen, those that have no rows yet evaluated, and all put into one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from scenarios.sweeping.columns import Row
from scenarios.sweeping.crew import Crew
from scenarios.sweeping.load import Sweep
from scenarios.sweeping.points import Choices, Grid, chunks, drawn
from scenarios.sweeping.search import Search
from scenarios.sweeping.store import Store

Progress = Callable[[int, int], None]  # points done, of all


def run_sweep(sweep: Sweep, store: Store, crew: Crew, progress: Progress = lambda done, total: None) -> list[Row]:
    """Evaluate what has not been evaluated yet, and finish the store; returns all rows.

    Raises InputError if the store is of another sweep or in use, MoesimError if the crew is lost.
    """
    with store.claimed():
        if not store.table.is_file():
            work = _Work(sweep, store, crew, progress)
            if sweep.spec.method == "search":
                work.search()
            else:
                work.fill(points_of(sweep))
            store.finish()
        return store.rows()


def points_of(sweep: Sweep) -> Sequence[Choices]:
    """The points of a grid or of a random choice."""
    if sweep.spec.method == "grid":
        return Grid(sweep.axes)
    assert sweep.spec.points is not None  # the schema sees to it
    return drawn(sweep.axes, sweep.spec.points, sweep.spec.seed)


class _Work:
    """What is left to do of a sweep."""

    def __init__(self, sweep: Sweep, store: Store, crew: Crew, progress: Progress) -> None:
        self._sweep, self._store, self._crew, self._progress = sweep, store, crew, progress
        self._done = store.done()

    def fill(self, points: Sequence[Choices]) -> None:
        """Have rows for all these points."""
        self._progress(len(self._done), len(points))
        for _ in self._evaluated(points, 0, len(points)):
            pass

    def search(self) -> None:
        """Ask for points batch by batch, telling the rows of each before the next, also those of an earlier start."""
        spec, first = self._sweep.spec, 0
        assert spec.points is not None  # the schema sees to it
        search = Search(spec, self._sweep.axes)
        known = {row["point"]: row for row in self._store.rows()}
        self._progress(len(known), spec.points)
        while first < spec.points and (asked := search.ask(min(spec.batch, spec.points - first))):
            known.update((row["point"], row) for row in self._evaluated(asked, first, spec.points))
            search.tell({choices: known[point] for point, choices in enumerate(asked, first)})
            first += len(asked)

    def _evaluated(self, points: Sequence[Choices], first: int, total: int) -> Iterator[Row]:
        """The rows, once they are kept, of those points that had none; `total` is how many points there will be."""
        sweep = self._sweep
        cut = chunks(sweep.axes, points, first, sweep.n_strategies)
        todo = (chunk for chunk in (chunk.without(self._done) for chunk in cut) if chunk.points)
        for rows in self._crew.evaluate(sweep.ground, todo):
            self._store.save(rows)
            self._done.update(row["point"] for row in rows)
            self._progress(len(self._done), total)
            yield from rows
