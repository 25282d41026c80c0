"""`moesim recordings`: predict recordings of hardware anew, and say which predictions have got worse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def recordings(
    folders: Annotated[list[Path], typer.Argument(help="Folders that `moesim measure` wrote.")],
    accept: Annotated[bool, typer.Option("--accept", help="Take the errors of now as those to compare with.")] = False,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="Of one folder: write plots and both timelines here.")
    ] = None,
) -> None:
    """Predict what was recorded anew; the exit status is 1 if a prediction is further off than when last accepted."""
    from scenarios.recordings import baseline
    from scenarios.recordings.folder import check_folder_of
    from scenarios.validate import ignore
    from scenarios.validation_page import Collected, write_validation
    from scenarios.validation_table import print_validation
    from sim.errors import InputError

    if page is not None and len(folders) > 1:
        raise InputError("a page is of one folder", field="--page", value=str(page), remedy="name one folder")
    collected = Collected()
    worse = 0
    for folder in folders:
        checked = check_folder_of(folder, collected.add if page is not None else ignore)
        if page is not None:
            write_validation(page, checked.validation, collected)
        print_validation(checked.validation)
        for row in checked.worse:
            typer.echo(f"worse: {row}")
        if accept:
            baseline.save_baseline(folder / baseline.FILE, checked.validation)
        worse += len(checked.worse)
    if worse and not accept:
        typer.echo(f"{worse} predictions have got worse; mend them, or accept them with --accept", err=True)
        raise typer.Exit(1)
