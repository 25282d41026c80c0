"""`moesim crossover`: which strategy is ahead as one field of a scenario changes, and where they change places."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from scenarios.crossover import Answer, Question


def crossover(
    scenario: Annotated[str, typer.Argument(help="Path of a scenario file, or a bundled example.")],
    vary: Annotated[
        str, typer.Option("--vary", metavar="FIELD", help="cache, machine_with.link.gb_per_s, workload.prompt, …")
    ],
    values: Annotated[str, typer.Option("--values", metavar="A,B,…", help="What it is set to, in order.")],
    rivals: Annotated[
        list[str] | None, typer.Option("--rival", metavar="LABEL", help="Compare only these; default: all.")
    ] = None,
    quantity: Annotated[
        str, typer.Option("--quantity", metavar="NAME", help="What is compared: decode_tokens_per_s, recall, …")
    ] = "tokens_per_s",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Run a scenario at several values of one field; print who is ahead, and where two strategies change places."""
    from scenarios.crossover import Question, answer, contenders, labelled
    from scenarios.load import check, load_scenario
    from scenarios.progress import progress_line

    file = load_scenario(scenario)
    asked = {"say": "", "scenario": labelled(file), "vary": vary, "values": _values(values), "quantity": quantity}
    question = check(Question, {**asked, "rivals": rivals or contenders(file.spec)}, file.source)
    with progress_line() as say:
        found = answer(question, file.source, progress=say)
    if as_json:
        typer.echo(_json(question, found))
    else:
        _print(question, found)


def _values(text: str) -> list[float | int | str]:
    """Numbers where they are some, else what a scenario takes as text, such as 47%."""
    from sim.errors import InputError

    values = [_number(each.strip()) for each in text.split(",") if each.strip()]
    if len(values) < 2:
        raise InputError("needs two values or more", field="--values", value=text, remedy="separate them by commas")
    return values


def _number(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _json(question: Question, found: Answer) -> str:
    series = {label: [None if math.isnan(v) else v for v in values] for label, values in found.series.items()}
    told = {"vary": question.vary, "values": found.values, "quantity": question.quantity, "series": series}
    return json.dumps(told, indent=1, allow_nan=False)


def _print(question: Question, found: Answer) -> None:
    from scenarios.crossover import cell, in_words
    from scenarios.table import new_table, terminal

    table = new_table(f"{question.quantity} by {question.vary}")
    table.add_column(question.vary)
    for label in question.rivals:
        table.add_column(label, justify="right")
    for i, value in enumerate(found.values):
        table.add_row(str(value), *(cell(found.series[label][i]) for label in question.rivals))
    console = terminal()
    console.print(table)
    if said := in_words(found, question.vary):
        console.print(said, soft_wrap=True)
