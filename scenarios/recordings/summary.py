"""What a campaign came to, as text."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console

from scenarios.validation_table import print_validation

if TYPE_CHECKING:
    from scenarios.recordings.campaign import Outcome

_WIDTH = 1000


def summary(outcome: Outcome) -> str:
    """The machine, the tables of the validation, and what is missing, a line each."""
    text = StringIO()
    console = Console(file=text, highlight=False, width=_WIDTH)
    machine = outcome.machine
    console.print(f"{machine.name}: {len(machine.kernels)} kernel tables, {len(machine.links)} links", soft_wrap=True)
    for name, said in machine.sources.items():
        console.print(f"  {name}: {said}", soft_wrap=True, markup=False)
    console.print()
    if outcome.validation is not None:
        print_validation(outcome.validation, console)
        console.print()
    for failure in outcome.failed:
        console.print(f"failed: {failure}", soft_wrap=True, markup=False)
    rest = f"{outcome.left} left for the next run" if outcome.left else "none left"
    console.print(f"{outcome.recorded} schedules recorded, {len(outcome.failed)} failed, {rest}", soft_wrap=True)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
