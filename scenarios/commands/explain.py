"""`moesim explain`: what a run is bound by, for how much, and what would change it."""

from __future__ import annotations

from typing import Annotated

import typer


def explain(
    scenario: Annotated[str, typer.Argument(help="Path of a scenario file, or a bundled example: quickstart.")],
    strategy: Annotated[
        str | None, typer.Option("--strategy", metavar="LABEL", help="Which of its strategies; default: the best.")
    ] = None,
    machine: Annotated[
        str | None, typer.Option("--machine", metavar="NAME|PATH", help="Another machine than the scenario's.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Another seed than the scenario's.")] = None,
) -> None:
    """Say where the time of a strategy goes, how far from the physical limit it is, and what would change that."""
    from scenarios.explain import explain as explained
    from scenarios.explain import lines
    from scenarios.load import load_scenario
    from scenarios.progress import progress_line

    file = load_scenario(scenario, machine=machine, seed=seed)
    with progress_line() as say:
        found = explained(file, strategy, progress=say)
    for line in lines(found):
        typer.echo(line)
