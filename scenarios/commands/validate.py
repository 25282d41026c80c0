"""`moesim validate`: plan, simulate, execute and compare a list of scenarios."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from scenarios.figure_formats import FigureFormats, check_figures


def validate(
    machine: Annotated[
        str, typer.Option("--machine", metavar="PATH", help="This computer, as `moesim calibrate` measured it.")
    ],
    named: Annotated[
        str | None,
        typer.Argument(metavar="SUITE", help="Path of a suite of scenarios, or a bundled one: host, standard."),
    ] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="The same, as an option.")] = None,
    backend: Annotated[
        str, typer.Option("--backend", help="What to run on: cuda, or host (CPU cores stand in for a GPU).")
    ] = "host",
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Run each schedule so many times.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write validation.json and validation.html here.")
    ] = None,
    figures: FigureFormats = None,
) -> None:
    """Execute every schedule of a suite for real and compare what happened with what was predicted."""
    from hwexec.backends import check_backend, make_backend
    from hwexec.execute import execute
    from scenarios.output import check_folder
    from scenarios.progress import progress_bar
    from scenarios.suite import load_suite
    from scenarios.validate import ignore, validate_suite
    from scenarios.validation_page import Collected, write_validation
    from scenarios.validation_table import print_validation
    from sim.errors import InputError

    chosen = named or suite
    if chosen is None or (named and suite):
        raise InputError("name one suite", field="--suite", value=suite, remedy="give `host`, `standard` or a path")
    check_figures(figures, out)
    if out is not None:
        check_folder(out)
    loaded = load_suite(chosen, machine=machine)
    check_backend(backend)
    collected = Collected()
    with closing(make_backend(backend)) as runner, progress_bar("validating") as say:
        found = validate_suite(
            loaded.title,
            loaded.files,
            lambda schedule: execute(schedule, runner, repeats=repeats),
            progress=say,
            seen=collected.add if out is not None else ignore,
        )
    if out is not None:
        found.write_json(out / "validation.json")
        write_validation(out / "validation.html", found, collected)
        if figures:
            from scenarios.figures.save import save_all
            from scenarios.figures.validation import validation_figures

            save_all(out, validation_figures(found, collected), figures, title=found.title)
    if as_json:
        typer.echo(found.to_json())
    else:
        print_validation(found)
