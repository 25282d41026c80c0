"""`moesim sweep`: many variations of a scenario, in one table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def sweep(
    spec: Annotated[str, typer.Argument(help="Path of a sweep file, or a bundled one: mixtral.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where it is kept; default: sweep-NAME.")
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes to use; default: one a core.")] = None,
) -> None:
    """Evaluate a sweep; started again in the same folder, it goes on where it was interrupted."""
    from scenarios.local_executor import LocalExecutor
    from scenarios.sweeping.crew import Crew
    from scenarios.sweeping.load import load_sweep
    from scenarios.sweeping.run import run_sweep
    from scenarios.sweeping.store import Store

    found = load_sweep(spec)
    jobs = jobs or os.cpu_count() or 1
    with LocalExecutor(jobs) as executor:
        rows = run_sweep(found, Store(out or Path(f"sweep-{Path(spec).stem}"), found), Crew(executor, jobs))
    print(len(rows))
