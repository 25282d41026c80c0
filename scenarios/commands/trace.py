"""`moesim trace`: record routing or bring it in, say what it is like, and imitate it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.commands import trace_fit, trace_join, trace_record, trace_report, trace_synth
from scenarios.commands.trace_line import describe

if TYPE_CHECKING:
    from sim.trace_stats import TraceStats

app = typer.Typer(help="Record, import, measure and imitate routing traces.", no_args_is_help=True)
app.command("synth")(trace_synth.synth)
app.command("fit")(trace_fit.fit)
app.command("report")(trace_report.report)
app.command("join")(trace_join.join)
app.command("record")(trace_record.record)


class Format(StrEnum):
    """The formats that can be imported."""

    NVMOE = "nvmoe"
    BIGMOE = "bigmoe"
    VLLM = "vllm"
    ESFT = "esft"
    NPZ = "npz"


@app.command("import")
def import_trace(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The file to read, or the folder (esft).")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The trace to write, by custom *.trace.arrow.")],
    file_format: Annotated[Format, typer.Option("--format", help="What IN is.")],
) -> None:
    """Turn another tool's recording into a trace."""
    from sim.importers import IMPORTERS

    trace = IMPORTERS[file_format](source)
    trace.save(target)
    typer.echo(f"{target}: {describe(trace)}")


@app.command("stats")
def trace_stats(
    file: Annotated[Path, typer.Argument(help="A trace: *.trace.arrow, or the name of a bundled one (tinymoe).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print means and per-layer values as JSON.")] = False,
) -> None:
    """Say how popular, how repetitive and how predictable the experts of a trace are."""
    import json

    from scenarios.traces import load_trace
    from sim.trace_stats import stats

    trace = load_trace(file)
    found = stats(trace)
    if as_json:
        sizes = {"tokens": trace.n_tokens, "sequences": trace.n_sequences, "layers": trace.n_layers}
        routing = {"experts": trace.n_experts, "top_k": trace.top_k}
        typer.echo(json.dumps({**sizes, **routing, **found.to_dict()}, indent=1, allow_nan=False))
    else:
        typer.echo(f"{file}: {describe(trace)}")
        _print_stats(found)


def _print_stats(found: TraceStats) -> None:
    from rich.table import Table

    from scenarios.table import terminal

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("mean over layers")
    table.add_column("value", justify="right")
    for name, value in found.means().items():
        table.add_row(name.replace("_", " "), f"{value:.3f}")
    terminal().print(table)
