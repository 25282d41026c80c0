"""`moesim advise`: what to run on one machine, how fast it will be, and what to buy first."""

from __future__ import annotations

from typing import Annotated

import typer


def advise(
    model: Annotated[str, typer.Option("--model", metavar="NAME|PATH", help="A model (`moesim list models`).")],
    machine: Annotated[
        str, typer.Option("--machine", metavar="NAME|PATH", help="A machine (`moesim list machines`), or a file of it.")
    ],
    context: Annotated[
        int | None, typer.Option("--context", min=3, help="Tokens of a sequence to have memory for. Default: 4096.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Sequences at once.")] = 1,
    prompt: Annotated[int | None, typer.Option("--prompt", min=1, help="Tokens in a request. Default: 256.")] = None,
    output: Annotated[int, typer.Option("--output", min=2, help="Tokens out, of a request.")] = 16,
    precision: Annotated[
        str | None, typer.Option("--precision", help="Format of the weights. Default: bf16, q8_0 and q4_k are tried.")
    ] = None,
    stack: Annotated[
        str | None, typer.Option("--stack", help="Software of the machine. Default: llama.cpp, or its first.")
    ] = None,
    like: Annotated[
        str | None, typer.Option("--like", help="Whose routing to imitate. Default: the model's own.")
    ] = None,
    recall: Annotated[
        float, typer.Option("--recall", min=0, max=1, help="Share of the next experts that a prefetch guesses.")
    ] = 0.85,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of routing and guesses.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Rank strategies and cache sizes for a machine; say what fits, what limits it and what to buy first."""
    from scenarios.advise import Question, advise
    from scenarios.advise.plain import to_json
    from scenarios.advise.terminal import print_advice
    from scenarios.progress import progress_line

    question = Question(model, machine, context, batch, prompt, output, precision, stack, like, recall, seed)
    with progress_line() as say:
        found = advise(question, say)
    if as_json:
        typer.echo(to_json(found))
    else:
        print_advice(found)
