"""`moesim execute`: run a saved schedule on this computer."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.timeline import Timeline


def execute(
    schedule: Annotated[Path, typer.Argument(help="A schedule written by `moesim run --save-schedules`.")],
    backend: Annotated[
        str, typer.Option("--backend", help="What to run it on: cuda, or host: CPU cores stand in for a GPU.")
    ] = "host",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="TIMELINE", help="Write the median run's timeline here.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Run it so many times.")] = 1,
    copies: Annotated[str, typer.Option("--copies", help="cuda: from pinned or pageable host memory.")] = "pinned",
    cpu_threads: Annotated[
        int | None, typer.Option("--cpu-threads", min=1, metavar="N", help="cuda: threads of experts on the CPU.")
    ] = None,
    graphs: Annotated[bool, typer.Option("--graphs", help="cuda: capture runs of ops without a wait.")] = False,
) -> None:
    """Execute a schedule for real and say when everything happened."""
    from hwexec.backends import make_backend
    from scenarios.output import check_folder
    from sim.errors import InputError
    from sim.schedule import Schedule

    if out is not None:
        check_folder(out.parent)
    loaded = Schedule.load(schedule)
    if copies not in ("pinned", "pageable"):
        raise InputError("unknown kind of memory", field="--copies", value=copies, remedy="pinned or pageable")
    options = {"copies": copies, "cpu_threads": cpu_threads, "graphs": graphs} if backend == "cuda" else {}
    with closing(make_backend(backend, **options)) as runner:
        from hwexec.execute import execute as run

        timelines = run(loaded, runner, repeats=repeats)
    median = sorted(timelines, key=lambda timeline: timeline.makespan_s)[len(timelines) // 2]
    _print_summary(timelines, median)
    if out is not None:
        median.save(out)
        typer.echo(f"timeline: {out}")


def _print_summary(timelines: Sequence[Timeline], median: Timeline) -> None:
    from sim.metrics import summarise
    from sim.readable import number, percent, seconds

    summary = summarise(median)
    spans = ", ".join(seconds(timeline.makespan_s) for timeline in timelines)
    typer.echo(
        f"{len(median.schedule)} ops of {median.schedule.model.name} in {seconds(summary.makespan_s)} (runs: {spans})"
    )
    typer.echo(
        f"TTFT {seconds(summary.ttft_s)}, TPOT p50 {seconds(summary.tpot_p50_s)}, p95 {seconds(summary.tpot_p95_s)}"
    )
    typer.echo(f"decode {number(summary.decode_tokens_per_s)} tok/s, end to end {number(summary.tokens_per_s)} tok/s")
    typer.echo("busy: " + ", ".join(f"{lane} {percent(share)}" for lane, share in summary.utilisation.items() if share))
