"""`moesim trace synth`: draw a synthetic trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def synth(
    like: Annotated[str, typer.Option("--like", metavar="NAME", help="A routing preset, or the file of one.")],
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Tokens of all sequences together.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the trace goes: NAME.trace.arrow.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds draw equal traces.")] = 0,
    sequences: Annotated[
        int | None, typer.Option("--sequences", min=1, help="Default: as long as those that the preset was fitted to.")
    ] = None,
    prompt: Annotated[int, typer.Option("--prompt", min=0, help="Tokens of each sequence that are its prompt.")] = 0,
    model: Annotated[
        str | None, typer.Option("--model", help="Draw for the layers and experts of this model instead.")
    ] = None,
) -> None:
    """Draw routing that is like a model's: popular experts, tasks, slow context, layers that agree, gate weights."""
    from scenarios.commands.trace_line import describe
    from scenarios.presets import load_model
    from scenarios.routing_presets import load_routing
    from sim.errors import InputError
    from sim.synth import synthesize

    preset = load_routing(like)
    goal = preset.goal
    shape = (goal.n_layers, goal.n_experts, goal.top_k)
    if model is not None:
        drawn_for = load_model(model)
        shape = (drawn_for.n_moe_layers, drawn_for.n_experts, drawn_for.top_k)
    count = sequences or max(1, round(tokens * len(goal.sequences) / sum(goal.sequences)))
    if count > tokens:
        raise InputError(f"there are only {tokens} tokens", field="--sequences", value=count, remedy="ask for fewer")
    lengths = [tokens * (i + 1) // count - tokens * i // count for i in range(count)]
    if prompt > min(lengths):
        raise InputError(
            f"sequences have {min(lengths)} tokens", field="--prompt", value=prompt, remedy="ask for fewer"
        )
    trace = synthesize(*shape, [(prompt, length - prompt) for length in lengths], seed=seed, style=preset.style)
    trace.save(out)
    typer.echo(f"{out}: {describe(trace)}")
