"""Published figures beside simulated ones as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from scenarios.published.compare import Outcome, missed
from scenarios.published.load import PaperFile
from scenarios.published.spec import Setting
from scenarios.published.words import held, ratio, reported, simulated
from scenarios.table import new_table, terminal


def print_papers(files: Sequence[PaperFile], outcomes: Mapping[str, Mapping[str, Outcome]]) -> None:
    """Print a table for each setting, and below it why figures are missed."""
    console = terminal()
    for file in files:
        for setting in file.spec.settings:
            _print_setting(console, f"{file.spec.title} · {setting.name}", setting, outcomes[file.name][setting.name])


def _print_setting(console: Console, title: str, setting: Setting, outcome: Outcome) -> None:
    table = new_table(title)
    table.add_column("figure", no_wrap=True)
    for name in ("reported", "simulated", "ratio", "target"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("evidence")
    for figure in setting.figures:
        found = outcome.figures[figure.id]
        share, met = ratio(figure, found), figure.met(found.value)
        table.add_row(
            figure.says,
            reported(figure),
            simulated(figure, found),
            "" if share is None else f"{share:.2f}",
            Text("met" if met else "missed", style="green" if met else "red"),
            figure.evidence,
        )
    console.print(table)
    for order in setting.orders:
        ranked = outcome.orders[order.id]
        console.print(f"order: {' > '.join(order.of)} {held(ranked)}", highlight=False)
    for names, cause in missed(setting, outcome):
        console.print(Text(f"! {', '.join(names)}: {cause}", style="yellow"), soft_wrap=True)
    console.print()
