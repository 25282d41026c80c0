"""`moesim sweep`: many variations of a scenario in one table, and the best compromises among them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.figure_formats import FigureFormats, check_figures

if TYPE_CHECKING:
    from scenarios.sweeping.load import Sweep

_INTERRUPTED = 130


def sweep(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="Path of a sweep file, or a bundled one: mixtral.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where sweep.parquet is to be; default: sweep-NAME.")
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes to use; default: one a core.")] = None,
    on: Annotated[
        str, typer.Option("--on", metavar="WHERE", help="local, dask, or dask=ADDRESS of a scheduler.")
    ] = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much there is to do.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    figures: FigureFormats = None,
) -> None:
    """Evaluate a sweep; started again in the same folder, it goes on where it was interrupted."""
    from scenarios.output import check_folder
    from scenarios.progress import progress_count
    from scenarios.sweeping.executors import crew_on
    from scenarios.sweeping.load import load_sweep
    from scenarios.sweeping.run import run_sweep
    from scenarios.sweeping.store import Store
    from scenarios.sweeping.terminal import print_sweep, summary

    found, jobs = load_sweep(spec), jobs or os.cpu_count() or 1
    for warning in found.warnings:
        typer.echo(f"! {warning}", err=True)
    if dry_run:
        _print_estimate(found, jobs, as_json)
        return
    folder = out or Path(f"sweep-{found.source.path.stem}")
    check_folder(folder)
    check_figures(figures, folder)
    so_far, store = _SoFar(), Store(folder, found)
    try:
        with progress_count("sweeping") as say, crew_on(on, jobs) as crew:
            rows = run_sweep(found, store, crew, so_far.told(say))
    except KeyboardInterrupt as error:
        done = f"{len(store.done())} of {so_far.total} points done" if so_far.total else "no point done"
        typer.echo(f"moesim: interrupted, {done}; start again to go on", err=True)
        raise typer.Exit(_INTERRUPTED) from error
    if figures:
        from scenarios.explore.table import read_sweep
        from scenarios.figures.save import save_all
        from scenarios.figures.sweep_map import sweep_figures

        save_all(folder, sweep_figures(read_sweep(folder)), figures, title=found.spec.title or found.source.path.stem)
    if as_json:
        typer.echo(json.dumps(summary(found, rows), indent=1, allow_nan=False))
    else:
        print_sweep(found, rows)
    typer.echo(f"{so_far.rate}table: {folder / 'sweep.parquet'}", err=as_json)


class _SoFar:
    """How far a sweep has come since it was started, this time."""

    def __init__(self) -> None:
        self.total = 0
        self._first = self._last = (0, 0.0)  # points done, and when

    def told(self, say: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """Take progress, and pass it on."""

        def take(done: int, total: int) -> None:
            self._last = done, time.monotonic()
            if not self.total:
                self._first = self._last
            self.total = total
            say(done, total)

        return take

    @property
    def rate(self) -> str:
        """What was done this time, and how fast; nothing if all was there."""
        new, seconds = (last - first for first, last in zip(self._first, self._last, strict=True))
        return f"{new} points in {seconds:.3g} s, {new / seconds:.3g} a second; " if new and seconds else ""


def _print_estimate(found: Sweep, jobs: int, as_json: bool) -> None:
    from scenarios.sweeping.estimate import estimate

    needs = estimate(found)
    if as_json:
        typer.echo(json.dumps(asdict(needs), indent=1))
        return
    about = _about(needs.seconds / jobs)
    typer.echo(f"{needs.points} points, {needs.rows} rows, {needs.plans} plans; about {about} with {jobs} processes")


def _about(seconds: float) -> str:
    if seconds > 7200:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds > 120 else f"{seconds:.2g} seconds"
