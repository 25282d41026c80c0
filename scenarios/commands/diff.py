"""`moesim diff`: what got slower from one timeline to another, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.figure_formats import FigureFormats, check_figures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.timeline_diff import Difference

_MOST_ROWS = 6
_VISIBLE = 1e-3  # of the slower makespan: a change below this is not shown


def diff(
    a: Annotated[Path, typer.Argument(help="A timeline written by `moesim run --save-schedules` or `execute`.")],
    b: Annotated[Path, typer.Argument(help="Another of the same model and trace: strategy, machine, or real run.")],
    schedule: Annotated[
        Path | None,
        typer.Option(
            "--schedule", help="Of the timelines that have no NAME.schedule.arrow beside NAME.timeline.arrow."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write a page with both timelines here: FILE.html.")
    ] = None,
    figures: FigureFormats = None,
) -> None:
    """Compare two timelines, op by op and along their critical paths: what got slower, and why."""
    from scenarios.timeline_files import load_timeline, stem
    from sim.timeline_diff import difference

    check_figures(figures, out)
    timelines = load_timeline(a, schedule), load_timeline(b, schedule)
    found, names = difference(*timelines), (stem(a), stem(b))
    if out is not None:
        from scenarios.diff_page import write_difference

        write_difference(out, found, names)
        if figures:
            from scenarios.figures.pair import difference_figures
            from scenarios.figures.save import save_all

            save_all(out.parent, difference_figures(found, *timelines), figures, title=" and ".join(names))
    for line in _lines(found, *names):
        typer.echo(line)
    if out is not None:
        typer.echo(f"page: {out}")


def _lines(found: Difference, a: str, b: str) -> Iterator[str]:
    from sim.readable import change, number, seconds

    least_s = _VISIBLE * max(found.a_s, found.b_s)
    yield f"A  {a}: {seconds(found.a_s)}"
    yield f"B  {b}: {seconds(found.b_s)}, {number(found.b_s / found.a_s if found.a_s else None)} times as long"
    yield ""
    yield f"{'on the critical path':<34}{'A':>9}{'B':>10}{'change':>11}"
    for name, (a_s, b_s) in list(found.causes.items())[:_MOST_ROWS]:
        if abs(b_s - a_s) >= least_s:
            yield f"  {name:<32}{seconds(a_s):>9}{seconds(b_s):>10}{change(b_s - a_s):>11}"
    yield ""
    yield f"{'busy':<34}{'A':>9}{'B':>10}{'change':>11}"
    for row in found.kinds[:_MOST_ROWS]:
        if abs(row.b_s - row.a_s) >= least_s:
            counts = f"{row.count_a:,}" if row.count_a == row.count_b else f"{row.count_a:,} → {row.count_b:,}"
            name = f"{row.kind} on {row.lane}"
            yield f"  {name:<32}{seconds(row.a_s):>9}{seconds(row.b_s):>10}{change(row.b_s - row.a_s):>11}   {counts}"
    yield ""
    pairs = found.alignment
    yield f"{len(pairs.a):,} ops are in both, {len(pairs.only_a):,} in A only, {len(pairs.only_b):,} in B only"
    if found.reasons:
        changes = [f"{count:,} {before} → {after}" for (before, after), count in found.reasons.items()]
        yield f"experts: {', '.join(changes[:_MOST_ROWS])}"
    if len(found.step_s):
        worst = int(abs(found.step_s).argmax())
        yield f"largest change of a step: {change(float(found.step_s[worst]))} in step {worst} of {len(found.step_s)}"
