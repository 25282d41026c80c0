"""Progress of long work: a line or a bar on standard error, and nothing at all where that is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress_line() -> Iterator[Callable[[str], None]]:
    """Yield a function that says what is being done."""
    with Console(stderr=True, highlight=False).status("starting") as status:
        yield lambda text: status.update(text)


@contextmanager
def progress_bar(task: str) -> Iterator[Callable[[str, float], None]]:
    """Yield a function that takes what is being done and the share of the whole that is done."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task(task, total=1.0)
        yield lambda text, share: progress.update(bar, description=text, completed=share)
