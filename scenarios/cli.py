"""The command `moesim`: its subcommands, and what becomes of errors and of Ctrl-C."""

from __future__ import annotations

import os
import sys
from typing import Any, cast

import typer
from typer.core import TyperGroup

from scenarios.commands import (
    advise,
    calibrate,
    crossover,
    diff,
    execute,
    explain,
    explore,
    export,
    listing,
    measure,
    papers,
    recordings,
    replay,
    run,
    schema,
    sweep,
    trace,
    validate,
    whatif,
)
from sim.errors import MoesimError

INTERRUPTED = 130
WRONG_INPUT = 2


_UsageError: type[Any] = typer.BadParameter.__mro__[1]  # what all complaints of typer's parser are


class _Group(TyperGroup):
    """Prints an error that was raised on purpose as one line; anything else is a fault of ours and shows its trace."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            parsed: list[str] = super().parse_args(ctx, args)
        except _UsageError as error:
            raise _refused(error, ctx) from error
        return parsed

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            raise _refused(error, ctx) from error
        except MoesimError as error:
            typer.echo(f"moesim: error: {error}", err=True)
            raise typer.Exit(WRONG_INPUT) from error
        except MemoryError as error:
            typer.echo(f"moesim: error: not enough memory: {error}; ask for fewer tokens at once", err=True)
            raise typer.Exit(WRONG_INPUT) from error
        except KeyboardInterrupt as error:
            typer.echo("moesim: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from error


def _refused(error: Any, ctx: Any) -> Exception:
    """What ends the command: a complaint of the parser has become one line; help that was not asked for stays."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return cast("Exception", error)
    complaint = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    below = f" {ctx.invoked_subcommand}" if ctx.invoked_subcommand else ""  # not every complaint knows its command
    command = error.ctx.command_path if error.ctx is not None else f"{ctx.command_path}{below}"
    typer.echo(f"moesim: error: {complaint[0].lower()}{complaint[1:]}; see `{command} --help`", err=True)
    return typer.Exit(WRONG_INPUT)


app = typer.Typer(
    cls=_Group,
    name="moesim",
    help="Which expert-offloading strategy, with how much cache, is how fast on which machine, and why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("advise")(advise.advise)
app.command("calibrate")(calibrate.calibrate)
app.command("crossover")(crossover.crossover)
app.command("diff")(diff.diff)
app.command("execute")(execute.execute)
app.command("explain")(explain.explain)
app.command("export")(export.export)
app.command("sweep")(sweep.sweep)
app.command("explore")(explore.explore)
app.command("validate")(validate.validate)
app.command("whatif")(whatif.whatif)
app.command("measure")(measure.measure)
app.command("recordings")(recordings.recordings)
app.command("replay")(replay.replay)
app.command("papers")(papers.papers)
app.command("list")(listing.list_names)
app.command("schema")(schema.schema)
app.add_typer(trace.app, name="trace")


def main() -> None:
    """Entry point of the command."""
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # CPython would end by the signal after all, had Ctrl-C come within an exec()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise
