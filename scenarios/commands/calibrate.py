"""`moesim calibrate`: measure this computer into a machine file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MODELS = {  # those of the bundled suites
    "host": ("host-small", "host-fine"),
    "cuda": ("mixtral-8x7b", "olmoe-1b-7b", "deepseek-v2-lite"),
}
PRECISIONS = {"host": "fp32", "cuda": "bf16"}


def calibrate(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The machine file to write.")],
    backend: Annotated[
        str, typer.Option("--backend", help="What to measure: cuda, or host: CPU cores stand in for a GPU.")
    ] = "host",
    budget: Annotated[float, typer.Option("--budget", min=1, metavar="SECONDS", help="Time to spend measuring.")] = 120,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME|PATH", help="Measure this model's kernels; may be repeated."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="Of the experts; default: fp32 on the host, bf16 on a GPU.")
    ] = None,
) -> None:
    """Measure copies, kernels, dispatch and sharing on this computer; an interrupted calibration can go on."""
    from hwexec.backends import check_backend
    from scenarios.output import check_folder
    from scenarios.presets import load_model
    from scenarios.progress import progress_bar
    from sim.errors import InputError
    from sim.precision import Precisions
    from sim.precision import precision as known_precision

    check_backend(backend)
    experts = known_precision(precision or PRECISIONS[backend]).name
    rest = "bf16" if backend == "cuda" and experts not in ("fp32", "fp16") else experts
    models = [(load_model(name), Precisions(experts, rest, rest)) for name in model or MODELS[backend]]
    if out.is_dir():
        raise InputError("is a folder", field="--out", value=str(out), remedy="give the path of a file")
    check_folder(out.parent)
    from calibrate.run import calibrate as measure

    try:
        with progress_bar("calibrating") as say:
            machine = measure(backend=backend, out=out, budget_s=budget, models=models, progress=say)
    except KeyboardInterrupt as error:
        typer.echo("moesim: interrupted; what was measured is kept: give the same command again to go on", err=True)
        raise typer.Exit(130) from error
    typer.echo(f"{out}: {machine.name}, {len(machine.kernels)} kernel tables, {len(machine.links)} links")
    for name in ("interpolation", "condition", "dram", "link", "cpu threads", "gpu before", "gpu after"):
        if name in machine.sources:
            typer.echo(f"  {name}: {machine.sources[name]}")
