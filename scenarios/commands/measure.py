"""`moesim measure`: calibrate this computer, execute a suite on it, compare, and keep the recordings."""

from __future__ import annotations

import faulthandler
import sys
from pathlib import Path
from time import monotonic, strftime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from scenarios.recordings.campaign import Outcome

_EVERY_S = 5.0
_GRACE_S = 40.0  # beyond the budget, after which whatever hangs is ended, its stack shown


def measure(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder that keeps everything.")],
    backend: Annotated[
        str, typer.Option("--backend", help="What to measure: cuda, or host: CPU cores stand in for a GPU.")
    ] = "cuda",
    suite: Annotated[
        str, typer.Option("--suite", metavar="NAME|PATH", help="A suite of scenarios; bundled: host, standard.")
    ] = "standard",
    budget: Annotated[float, typer.Option("--budget", min=1, metavar="SECONDS", help="Time for all of it.")] = 540,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Run each schedule so many times.")] = 3,
) -> None:
    """Calibrate, execute a suite, compare, keep the recordings; give the same command again to do what is left."""
    from scenarios.output import check_folder
    from scenarios.recordings.campaign import run_campaign
    from scenarios.recordings.hardware import ThisComputer
    from scenarios.suite import load_suite

    check_folder(out)
    loaded = load_suite(suite, machine="-")
    faulthandler.dump_traceback_later(budget + _GRACE_S, exit=True, file=sys.__stderr__ or 2)
    try:
        outcome = run_campaign(
            loaded.title, lambda machine: load_suite(suite, machine=str(machine)).files, ThisComputer(backend), out,
            budget_s=budget, repeats=repeats, say=_Say(), unseen=loaded.unseen,
        )  # fmt: skip
    except KeyboardInterrupt as error:
        typer.echo("moesim: interrupted; what was measured is kept: give the same command again to go on", err=True)
        raise typer.Exit(130) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
    _report(out, outcome)
    if not outcome.complete:
        raise typer.Exit(1)


class _Say:
    """Tells what is being done, on lines that are some seconds apart."""

    def __init__(self) -> None:
        self._last = -_EVERY_S

    def __call__(self, what: str, share: float) -> None:
        if monotonic() - self._last >= _EVERY_S:
            self._last = monotonic()
            typer.echo(f"{strftime('%H:%M:%S')} {share:4.0%} {what}", err=True)


def _report(out: Path, outcome: Outcome) -> None:
    """The summary, for the terminal and as a file."""
    from scenarios.recordings.folder import SUMMARY
    from scenarios.recordings.summary import summary
    from sim.files import write_text

    text = summary(outcome)
    write_text(out / SUMMARY, text)
    typer.echo(text, nl=False)
