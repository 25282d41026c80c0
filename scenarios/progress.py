"""Progress of long work: a line or a bar on standard error, and nothing at all where that is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


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


@contextmanager
def progress_count(task: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes how many are done, of how many; the rate and the time left are shown beside."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar: list[TaskID] = []

        def say(done: int, total: int) -> None:
            if not bar:  # what was done before counts for the bar, but not for the rate
                bar.append(progress.add_task(task, total=total, completed=done))
            progress.update(bar[0], completed=done)

        yield say


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.1f}/s" if task.speed else "")
