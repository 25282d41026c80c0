"""`moesim explore`: a page to look through a sweep in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios.figure_formats import FigureFormats, check_figures


def explore(
    sweep: Annotated[Path, typer.Argument(help="The folder that `moesim sweep` wrote, or its sweep.parquet.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The page to write. Default: explore.html beside it.")
    ] = None,
    figures: FigureFormats = None,
) -> None:
    """Write one offline HTML page of a sweep: filters, parallel coordinates, compromises, a map, the best points."""
    from scenarios.explore import write_page
    from scenarios.explore.table import read_sweep
    from scenarios.output import check_folder
    from sim.errors import InputError

    page = out or (sweep if sweep.is_dir() else sweep.parent) / "explore.html"
    if page.is_dir():
        raise InputError("is a folder", field="--out", value=str(page), remedy="give the path of a file")
    table = read_sweep(sweep)
    check_folder(page.parent)
    check_figures(figures, page.parent)
    write_page(page, table)
    if figures:
        from scenarios.figures.save import save_all
        from scenarios.figures.sweep_map import sweep_figures

        save_all(page.parent, sweep_figures(table), figures, title=table.name)
    typer.echo(f"page: {page}")
