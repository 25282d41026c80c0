"""`moesim run`: plan and simulate every strategy of a scenario."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scenarios.export_formats import Format
from scenarios.figure_formats import FigureFormats, check_figures


class Engine(StrEnum):
    """By the same rules."""

    FAST = "fast"
    SIMPY = "simpy"


def run(
    scenario: Annotated[str, typer.Argument(help="Path of a scenario file, or a bundled example: quickstart.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of a table.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write report.html, results.json and results.parquet here."),
    ] = None,
    save_schedules: Annotated[
        bool, typer.Option("--save-schedules", help="With --out: write every schedule and timeline too.")
    ] = False,
    exports: Annotated[
        list[Format] | None,
        typer.Option("--export", help="With --out: write every timeline in this form too; may be given again."),
    ] = None,
    figures: FigureFormats = None,
    machine: Annotated[
        str | None, typer.Option("--machine", metavar="NAME|PATH", help="Another machine than the scenario's.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Another seed than the scenario's.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes to use; default: one a core.")] = None,
    ranges: Annotated[
        bool, typer.Option("--ranges/--no-ranges", help="Give each speed the range that measurements leave open.")
    ] = True,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds", min=0, help="Further seeds that ranges are made from; default: 4, fewer if that is slow."
        ),
    ] = None,
    stream: Annotated[
        bool | None,
        typer.Option("--stream/--no-stream", help="Keep no ops and draw no timeline; default: where memory is short."),
    ] = None,
    engine: Annotated[
        Engine, typer.Option("--engine", help="What times the schedules: compiled, or the reference.")
    ] = Engine.FAST,
) -> None:
    """Plan and simulate every strategy of a scenario and compare them in a table, or in DIR/report.html."""
    from scenarios.load import load_scenario
    from scenarios.output import check_folder, write_results
    from scenarios.progress import progress_line
    from scenarios.run import run_scenario
    from scenarios.table import print_results
    from scenarios.uncertainty import run_with_ranges
    from sim.errors import InputError

    wanted = "--save-schedules" if save_schedules else "--export" if exports else None
    if wanted and out is None:
        raise InputError("says what to write, but not where", field=wanted, remedy="add --out DIR")
    if wanted and stream:
        raise InputError("streamed runs keep no schedule", field=wanted, remedy="leave out one of the two")
    stream = False if wanted else stream
    check_figures(figures, out)
    if out is not None:
        check_folder(out)
    file = load_scenario(scenario, machine=machine, seed=seed)
    with progress_line() as say:
        jobs = jobs or os.cpu_count() or 1
        result = (
            run_with_ranges(file, seeds=seeds, jobs=jobs, streamed=stream, engine=engine.value, progress=say)
            if ranges
            else run_scenario(file, jobs=jobs, streamed=stream, engine=engine.value, progress=say)
        )
        if out is not None:
            say("writing the report and drawing figures" if figures else "writing the report")
            write_results(out, result, schedules=save_schedules, exports=exports or (), figures=figures or ())
    if as_json:
        typer.echo(result.to_json())
    else:
        print_results(result)
    if out is not None:
        typer.echo(f"report: {out / 'report.html'}", err=as_json)
