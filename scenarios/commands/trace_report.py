"""`moesim trace report`: how near synthetic traces come to what they imitate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    file: Annotated[
        Path | None, typer.Argument(metavar="[TRACE]", help="Take the targets from this trace, not the preset.")
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option("--like", metavar="NAME", help="A routing preset, or the file of one; default: all."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many synthetic traces to average.")] = 3,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the synthetic statistics to a file too.")
    ] = None,
) -> None:
    """Print the statistics that routing presets were fitted to, those of synthetic traces, and the difference."""
    import json

    from scenarios.routing_presets import list_routings, load_routing
    from scenarios.routing_report import SEEDS, likeness, likeness_table
    from scenarios.table import terminal
    from scenarios.traces import load_trace
    from sim.files import write_text
    from sim.synth.fit import goal_of, synthetic_means

    goal = None
    if file is not None:
        trace = load_trace(file)
        goal = goal_of(trace.decode_only())
    measured = {}
    for name in like or list_routings():
        preset = load_routing(name)
        measured[preset.name] = synthetic_means(goal or preset.goal, preset.style, range(SEEDS[0], SEEDS[0] + seeds))
        title = preset.name if file is None else f"{file} · {preset.name}"
        terminal().print(likeness_table(title, likeness(goal or preset.goal, measured[preset.name])), "")
    if json_file is not None:
        rounded = {name: {key: round(value, 4) for key, value in means.items()} for name, means in measured.items()}
        write_text(json_file, json.dumps(rounded, indent=1) + "\n")
