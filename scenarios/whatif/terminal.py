"""What if, as a table for the terminal."""

from __future__ import annotations

from scenarios.table import new_table, terminal
from scenarios.whatif.answer import Answer, conclusion
from scenarios.whatif.levers import FACTORS, Lever
from sim.readable import number, seconds

_MOST = "at most"


def print_answer(answer: Answer) -> None:
    """One row a lever, then the conclusion."""
    console, summary = terminal(), answer.run.summary
    figures = [f"{number(summary.decode_tokens_per_s)} tok/s"] if summary.decode_tokens_per_s else []
    figures += [f"first token after {seconds(summary.ttft_s)}"] if summary.ttft_s else []
    table = new_table(f"{answer.run.label} on {answer.machine}: {', '.join(figures)}")
    table.add_column("more of", no_wrap=True)
    wide = [("decode", summary.decode_tokens_per_s), ("first_token", summary.ttft_s)]
    shown = [figure for figure, value in wide if value]
    for figure in shown:
        name = "decode" if figure == "decode" else "first\ntoken"
        for title in (f"{name}\nelasticity", *FACTORS, _MOST):
            table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", style="dim")
    for lever in answer.levers:
        cells = [cell for figure in shown for cell in _cells(lever, figure)]
        table.add_row(lever.name, *cells, "; ".join(filter(None, (lever.what, _own(lever), lever.note))))
    console.print(table)
    console.print(conclusion(answer), soft_wrap=True)


def _cells(lever: Lever, figure: str) -> list[str]:
    slope = getattr(lever.elasticity, figure)
    gains = [getattr(lever.gains[label], figure) if label in lever.gains else None for label in FACTORS]
    return ["–" if slope is None else f"{slope:.2f}", *map(_gain, [*gains, getattr(lever.limit, figure)])]


def _own(lever: Lever) -> str:
    """Steps of its own: a recall."""
    own = [label for label in list(lever.gains)[:-1] if label not in FACTORS]
    return ", ".join(f"{label}: {_gain(lever.gains[label].decode)}" for label in own)


def _gain(factor: float | None) -> str:
    """In percent, or as a factor where that reads better."""
    if factor is None:
        return "–"
    return f"{100 * (factor - 1):+.1f} %" if factor < 2 else f"× {number(factor)}"
