"""`moesim trace join`: several traces of one model as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def join(
    files: Annotated[list[Path], typer.Argument(metavar="TRACE…", help="Traces of one model: *.trace.arrow.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the trace goes: NAME.trace.arrow.")],
    in_turns: Annotated[
        bool, typer.Option("--in-turns", help="A sequence of each in turns, instead of one trace after the other.")
    ] = False,
) -> None:
    """Join traces, so that a cache sees several tasks one after the other, or mixed."""
    from sim.errors import InputError
    from sim.trace import RoutingTrace
    from sim.trace_join import join as joined

    if len(files) < 2:
        raise InputError("needs two traces or more", field="TRACE", value=len(files), remedy="name another")
    if out.resolve() in [path.resolve() for path in files]:
        raise InputError("is one of the traces that are joined", field="--out", value=str(out), remedy="name another")
    trace = joined([RoutingTrace.load(path) for path in files], in_turns=in_turns)
    trace.save(out)
    typer.echo(f"{out}: {trace.n_tokens} tokens in {trace.n_sequences} sequences")
