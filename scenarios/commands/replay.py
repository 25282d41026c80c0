"""`moesim replay`: eviction policies on a trace, without a clock."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scenarios.figure_formats import FigureFormats, check_figures


class Scope(StrEnum):
    """Whose experts a cache holds."""

    LAYER = "layer"
    GLOBAL = "global"


def replay(
    file: Annotated[
        Path,
        typer.Argument(metavar="TRACE", help="A *.trace.arrow, what `moesim trace import` reads, or tinymoe."),
    ],
    policies: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="NAME", help="A policy, or all; repeatable. Default: all."),
    ] = None,
    capacities: Annotated[
        list[str] | None,
        typer.Option(
            "--capacity",
            metavar="SIZE",
            help="Of one cache: 25%, 64 experts, 4000MiB or curve; repeatable. Default: curve.",
        ),
    ] = None,
    scope: Annotated[Scope, typer.Option("--scope", help="A cache for each layer, or one for all.")] = Scope.LAYER,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Sequences that run at once.")] = 1,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Empty the caches before each request, or batch of them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write replay.html and replay.json here.")
    ] = None,
    figures: FigureFormats = None,
    file_format: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="What TRACE is, if its ending does not say.")
    ] = None,
) -> None:
    """Count the hits and misses of eviction policies on a trace, with Belady's optimum beside them."""
    import json

    from scenarios.output import check_folder
    from scenarios.progress import progress_line
    from scenarios.replay_request import load_source, parse_capacities, parse_policies
    from scenarios.replay_table import print_study
    from sim.files import write_text
    from sim.replay import missing_compiler
    from sim.replay.study import study

    check_figures(figures, out)
    if out is not None:
        check_folder(out)
    names = parse_policies(policies or ["all"])
    source = load_source(file, file_format)
    trace = source.trace
    cache_experts = trace.n_experts * (trace.n_layers if scope == Scope.GLOBAL else 1)
    sizes = parse_capacities(capacities or ["curve"], cache_experts, source.layer_bytes)
    if (notice := missing_compiler()) is not None:
        typer.echo(f"moesim: {notice}", err=True)
    with progress_line() as say:
        found = study(
            trace, names, sizes.sizes, scope=scope.value, batch=batch, fresh=fresh, progress=say,
            layer_bytes=source.layer_bytes if sizes.in_bytes else None,
        )  # fmt: skip
    text = json.dumps({"trace": file.name, **found.to_dict()}, indent=1, allow_nan=False)
    if out is not None:
        from scenarios.replay_report import write_replay

        write_text(out / "replay.json", text + "\n")
        write_replay(out / "replay.html", found, trace, file.name)
        if figures:
            from scenarios.figures.misses import replay_figures
            from scenarios.figures.save import save_all

            save_all(out, replay_figures(found), figures, title=file.name)
    if as_json:
        typer.echo(text)
    else:
        print_study(found, file.name)
    if out is not None:
        typer.echo(f"report: {out / 'replay.html'}", err=as_json)
