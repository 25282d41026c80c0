"""`moesim trace fit`: make a routing preset from a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_TOKENS = 2000


def fit(
    file: Annotated[Path, typer.Argument(metavar="TRACE", help="The trace to imitate.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the preset goes, as YAML.")],
    tasks: Annotated[int, typer.Option("--tasks", min=1, max=64, help="How many tasks take turns in it.")] = 1,
    task_tokens: Annotated[
        float, typer.Option("--task-tokens", min=0, help="After how many tokens; 0: only with a new sequence.")
    ] = 0,
    tokens: Annotated[int, typer.Option("--tokens", min=64, help="Fit to so many of its decode tokens.")] = _TOKENS,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="At most so many steps of the search.")] = 12,
) -> None:
    """Find the style whose synthetic traces have the statistics of a trace, in about a minute."""
    from scenarios.progress import progress_line
    from scenarios.routing_presets import RoutingPreset
    from scenarios.routing_report import SEEDS, likeness, likeness_table
    from scenarios.table import terminal
    from scenarios.traces import load_trace
    from sim.synth.fit import fit, goal_of, shortened, start_style, synthetic_means
    from sim.synth.sharpness import sharpened

    trace = load_trace(file)
    trace = shortened(trace.decode_only(), tokens)
    goal = goal_of(trace)
    with progress_line() as say:
        style = fit(
            goal,
            start_style(tasks=tasks, task_tokens=task_tokens),
            rounds=rounds,
            progress=lambda count, cost: say(f"fitting: try {count}, cost {cost:.3f}"),
        )
        if trace.weights is not None:
            style = sharpened(style, trace.weights, goal)
        RoutingPreset(out.stem, f"decode tokens of {file.name}", goal, style).save(out)
        table = likeness_table(f"{file} · {out}", likeness(goal, synthetic_means(goal, style, SEEDS[:1])))
    terminal().print(table)
