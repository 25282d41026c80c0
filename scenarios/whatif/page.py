"""What if, as a page: a tornado of all levers for decoding and for the first token."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from scenarios.report.markup import Html, join, tag
from scenarios.report.template import fill
from scenarios.whatif.answer import Answer, conclusion
from scenarios.whatif.levers import FACTORS, Lever
from sim.files import write_text
from sim.readable import number, seconds

_ASSETS = files(__package__) / "assets"
_NOTES = {"decode": "to the right is faster", "first_token": "to the right is sooner"}
_TITLES = {"decode": "Decode speed", "first_token": "Time to first token"}


def write_page(path: Path, answer: Answer) -> None:
    """Write the page, atomically; equal answers give equal bytes."""
    write_text(path, render(answer))


def render(answer: Answer) -> str:
    """The text of the file."""
    figures = _figures(answer)
    return fill(
        title=f"{answer.title}: what if",
        facts=[answer.run.label, answer.machine, *figures.values()],
        verdict=join([conclusion(answer)]),
        links={"levers": "Levers", "numbers": "Numbers"},
        sections=[Html(_own("tornado.html")), _numbers(answer, list(figures))],
        footer="Re-timed by moesim, or planned again where a strategy would decide otherwise.",
        data=_data(answer, list(figures)),
        scripts=_own("tornado.js"),
    )


def _figures(answer: Answer) -> dict[str, str]:
    """The figures that the run has, in words."""
    summary, found = answer.run.summary, {}
    if summary.decode_tokens_per_s:
        found["decode"] = f"{number(summary.decode_tokens_per_s)} tok/s"
    if summary.ttft_s:
        found["first_token"] = f"first token after {seconds(summary.ttft_s)}"
    return found


def _data(answer: Answer, figures: list[str]) -> dict[str, Any]:
    return {
        "panels": [
            {"title": _TITLES[figure], "note": _NOTES[figure], "rows": [_row(lever, figure) for lever in answer.levers]}
            for figure in figures
        ]
    }


def _row(lever: Lever, figure: str) -> dict[str, Any]:
    """Half, twice (or the best that it has beside its limit), and the limit, as factors of the present pace."""
    middle = "× 2" if "× 2" in lever.gains else list(lever.gains)[-2] if len(lever.gains) > 1 else None
    return {
        "name": lever.name,
        "what": lever.what,
        "elasticity": getattr(lever.elasticity, figure),
        "half": getattr(lever.loss, figure),
        "twice": None if middle is None else getattr(lever.gains[middle], figure),
        "twice_label": middle,
        "limit": getattr(lever.limit, figure),
        "limit_label": list(lever.gains)[-1],
    }


def _numbers(answer: Answer, figures: list[str]) -> Html:
    titles = ["elasticity", "half", *FACTORS, "at most"]
    heads = [tag("th", title, tag("small", _TITLES[figure]), scope="col") for figure in figures for title in titles]
    head = tag("thead", tag("tr", tag("th", "More of", scope="col"), *heads))
    rows = [tag("tr", tag("th", lever.name, scope="row"), *_cells(lever, figures)) for lever in answer.levers]
    table = tag("table", head, tag("tbody", *rows))
    scroll = tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="All numbers")
    return tag("section", tag("h2", "All numbers"), tag("p", _MEANING, class_="lead"), scroll, id="numbers")


_MEANING = (
    "Elasticity: by how many percent the speed rises with one percent more. All others say how many times as fast it "
    "would be; at most: with as much as one could wish for."
)


def _cells(lever: Lever, figures: list[str]) -> list[Html]:
    cells = []
    for figure in figures:
        paces = [lever.elasticity, lever.loss, *(lever.gains.get(label) for label in FACTORS), lever.limit]
        values = [None if pace is None else getattr(pace, figure) for pace in paces]
        cells += [tag("td", "–" if value is None else number(value)) for value in values]
    return cells


def _own(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
