"""`moesim export`: a saved timeline for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios.export_formats import Format


def export(
    timeline: Annotated[
        Path, typer.Argument(help="A timeline written by `moesim run --save-schedules` or `moesim execute`.")
    ],
    as_: Annotated[
        Format, typer.Option("--as", help="perfetto: for ui.perfetto.dev; csv, parquet: a table, an op a row.")
    ],
    schedule: Annotated[
        Path | None,
        typer.Option("--schedule", help="Of a timeline that has no NAME.schedule.arrow beside NAME.timeline.arrow."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Where to; default: beside the timeline. Traces: compressed if it ends in .gz.",
        ),
    ] = None,
) -> None:
    """Write a timeline, simulated or measured, as a trace for Perfetto or as a table of its ops."""
    from scenarios.export import export as write
    from scenarios.timeline_files import load_timeline, stem

    target = out or timeline.with_name(as_.file_name(stem(timeline)))
    write(target, load_timeline(timeline, schedule), as_, title=stem(timeline))
    typer.echo(f"{as_.value}: {target}")
