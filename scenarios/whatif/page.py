"""What if, as a page: a tornado of all levers for decoding and for the first token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from scenarios.report.markup import Html, join, tag
from scenarios.report.template import fill
from scenarios.whatif.answer import Answer, Figure, conclusion
from scenarios.whatif.levers import FACTORS, Lever
from scenarios.whatif.tornado import Panel, panels
from sim.files import write_text
from sim.metrics import Summary
from sim.readable import number, seconds

_ASSETS = files(__package__) / "assets"
_FACTS: dict[Figure, Callable[[Summary], str]] = {
    "decode": lambda summary: f"{number(summary.decode_tokens_per_s)} tok/s",
    "first_token": lambda summary: f"first token after {seconds(summary.ttft_s)}",
}


def write_page(path: Path, answer: Answer) -> None:
    """Write the page, atomically; equal answers give equal bytes."""
    write_text(path, render(answer))


def render(answer: Answer) -> str:
    """The text of the file."""
    shown = panels(answer)
    return fill(
        title=f"{answer.title}: what if",
        facts=[answer.run.label, answer.machine, *(_FACTS[panel.figure](answer.run.summary) for panel in shown)],
        verdict=join([conclusion(answer)]),
        links={"levers": "Levers", "numbers": "Numbers"},
        sections=[Html(_own("tornado.html")), _numbers(answer, shown)],
        footer="Re-timed by moesim, or planned again where a strategy would decide otherwise.",
        data={"panels": [panel._asdict() | {"rows": [row._asdict() for row in panel.rows]} for panel in shown]},
        scripts=_own("tornado.js"),
    )


def _numbers(answer: Answer, shown: Sequence[Panel]) -> Html:
    titles, figures = ["elasticity", "half", *FACTORS, "at most"], [panel.figure for panel in shown]
    heads = [tag("th", title, tag("small", panel.title), scope="col") for panel in shown for title in titles]
    head = tag("thead", tag("tr", tag("th", "More of", scope="col"), *heads))
    rows = [tag("tr", tag("th", lever.name, scope="row"), *_cells(lever, figures)) for lever in answer.levers]
    table = tag("table", head, tag("tbody", *rows))
    scroll = tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="All numbers")
    return tag("section", tag("h2", "All numbers"), tag("p", _MEANING, class_="lead"), scroll, id="numbers")


_MEANING = (
    "Elasticity: by how many percent the speed rises with one percent more. All others say how many times as fast it "
    "would be; at most: with as much as one could wish for."
)


def _cells(lever: Lever, figures: Sequence[Figure]) -> list[Html]:
    cells = []
    for figure in figures:
        paces = [lever.elasticity, lever.loss, *(lever.gains.get(label) for label in FACTORS), lever.limit]
        values = [None if pace is None else getattr(pace, figure) for pace in paces]
        cells += [tag("td", "–" if value is None else number(value)) for value in values]
    return cells


def _own(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
