"""How results look in a notebook and to `print`: those of the terminal's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.notebook import Card, Row
from sim.notebook.why import path_card

if TYPE_CHECKING:
    from scenarios.explain import Explanation
    from scenarios.results import RunResult, ScenarioResult


def result_card(result: ScenarioResult) -> Card:
    """A row a strategy; the bar is its share of the physical limit."""
    from scenarios.table import columns_of, label_of, ranges_note, title_of, warnings_of

    columns = columns_of(result.runs, brief=True)
    return Card(
        title_of(result),
        [Row(label_of(run), tuple(cell(run) for cell in columns.values()), run.of_limit) for run in result.runs],
        head=("strategy", *(title.replace("\n", " ") for title in columns)),
        notes=[*ranges_note(result.runs), *warnings_of(result.runs)],
    )


def run_card(run: RunResult) -> Card:
    """All columns, one below the other."""
    from scenarios.table import columns_of, label_of, ranges_note, warnings_of

    rows = [Row(title.replace("\n", " "), (cell(run),)) for title, cell in columns_of([run]).items()]
    return Card(label_of(run), rows, notes=[*ranges_note([run]), *warnings_of([run])])


def explanation_card(found: Explanation) -> Card:
    """The path with its bars, and what else `moesim explain` says, which is the text."""
    from scenarios.explain.text import lines, sentences

    title, *rest = sentences(found)
    return Card(title, path_card(found.path).rows, notes=rest, plain="\n".join(lines(found)))
