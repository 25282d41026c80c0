"""`moesim whatif`: what a faster link, GPU, CPU, memory, host, a larger cache or a better predictor would buy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios.figure_formats import FigureFormats, check_figures


def whatif(
    scenario: Annotated[str, typer.Argument(help="Path of a scenario file, or a bundled example.")],
    strategy: Annotated[
        str | None, typer.Option("--strategy", metavar="LABEL", help="Which of its strategies; default: the best.")
    ] = None,
    machine: Annotated[
        str | None, typer.Option("--machine", metavar="NAME|PATH", help="Another machine than the scenario's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write whatif.html and whatif.json here.")
    ] = None,
    figures: FigureFormats = None,
) -> None:
    """Ask how much faster one strategy would be with more of each thing: elasticities, gains, and their limits."""
    from scenarios.load import load_scenario
    from scenarios.output import check_folder
    from scenarios.progress import progress_line
    from scenarios.whatif.answer import ask
    from scenarios.whatif.page import write_page
    from scenarios.whatif.terminal import print_answer
    from sim.files import write_text

    check_figures(figures, out)
    if out is not None:
        check_folder(out)
    file = load_scenario(scenario, machine=machine)
    with progress_line() as say:
        answer = ask(file, strategy, say)
    if out is not None:
        write_text(out / "whatif.json", answer.to_json() + "\n")
        write_page(out / "whatif.html", answer)
        if figures:
            from scenarios.figures.save import save_all
            from scenarios.figures.tornado import tornado

            save_all(out, [("tornado", tornado(answer))], figures, title=answer.title)
    if as_json:
        typer.echo(answer.to_json())
    else:
        print_answer(answer)
    if out is not None:
        typer.echo(f"plot: {out / 'whatif.html'}", err=as_json)
