"""`moesim papers`: published figures beside simulated ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from scenarios.figure_formats import FigureFormats, check_figures


def papers(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Bundled papers, or paths of paper files; default: all bundled ones."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write papers.json and papers.html here.")
    ] = None,
    nominal: Annotated[
        bool, typer.Option("--nominal", help="Leave the ranges over uncertain inputs out: far quicker.")
    ] = False,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes to use; default: one a core.")] = None,
    figures: FigureFormats = None,
) -> None:
    """Simulate the settings of published figures and say how close the simulator comes to each."""
    import json

    from scenarios.output import check_folder
    from scenarios.progress import progress_bar
    from scenarios.published.compare import evaluate
    from scenarios.published.load import list_papers, load_paper
    from scenarios.published.page import write_page
    from scenarios.published.plain import plain
    from scenarios.published.store import save
    from scenarios.published.terminal import print_papers

    check_figures(figures, out)
    if out is not None:
        check_folder(out)
    files = [load_paper(name) for name in names or list_papers()]
    with progress_bar("simulating") as say:
        outcomes = evaluate(files, ranges=not nominal, jobs=jobs or os.cpu_count() or 1, progress=say)
    if out is not None:
        save(out / "papers.json", files, outcomes)
        write_page(out / "papers.html", files, outcomes)
        if figures:
            from scenarios.figures import papers as draw
            from scenarios.figures.save import save_all

            save_all(out, [("papers", draw(files, outcomes))], figures, title="Published and simulated")
    if as_json:
        typer.echo(json.dumps(plain(files, outcomes), indent=1, allow_nan=False))
    else:
        print_papers(files, outcomes)
    if out is not None:
        typer.echo(f"page: {out / 'papers.html'}", err=as_json)
