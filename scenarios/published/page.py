"""One offline HTML page: every published figure against its simulated value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from scenarios.published.compare import Outcome, missed
from scenarios.published.load import PaperFile
from scenarios.published.spec import Figure, Setting
from scenarios.published.words import EVIDENCE, held, ratio, reported, simulated
from scenarios.report.markup import Html, tag
from scenarios.report.template import fill
from sim.files import write_text

Outcomes = Mapping[str, Mapping[str, Outcome]]
_ASSETS = resources(__package__) / "assets"
_HEAD = ("figure", "reported", "simulated (range)", "ratio", "target", "evidence")


def write_page(path: Path, files: Sequence[PaperFile], outcomes: Outcomes) -> None:
    """Write the page, atomically; equal outcomes give equal bytes."""
    write_text(path, render(files, outcomes))


def render(files: Sequence[PaperFile], outcomes: Outcomes) -> str:
    """The text of the page."""
    points = [point for i, file in enumerate(files) for point in _points(i, file, outcomes[file.name])]
    met = sum(point["met"] for point in points)
    return fill(
        title="Published and simulated",
        facts=[f"{len(files)} sources", f"{len(points)} figures"],
        verdict=Html(
            f"<strong>{met} of {len(points)}</strong> published figures are met within their tolerance. "
            "No input was tuned to meet one."
        ),
        links={file.name: file.spec.title for file in files},
        sections=[_plot(), *(_section(file, outcomes[file.name]) for file in files)],
        footer="Simulated by moesim; each paper file states its scenarios, their sources and what is uncertain.",
        data={"papers": [file.spec.title for file in files], "points": points},
        styles=_own("papers.css"),
        scripts=_own("papers.js"),
    )


def _points(number: int, file: PaperFile, outcomes: Mapping[str, Outcome]) -> Iterator[dict[str, Any]]:
    for setting in file.spec.settings:
        for figure in setting.figures:
            found = outcomes[setting.name].figures[figure.id]
            yield {
                "paper": number,
                "says": figure.says,
                "setting": setting.name,
                "reported": figure.reported,
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "bound": figure.bound,
                "met": figure.met(found.value),
                "texts": [reported(figure), simulated(figure, found), EVIDENCE[figure.evidence]],
            }


def _plot() -> Html:
    return tag(
        "section",
        tag("h2", "Reported against simulated"),
        tag(
            "p",
            "Each point is a published figure, in its own unit. On the diagonal the simulator says the same; the band "
            "is ± 25 %; bars are ranges over uncertain inputs; hollow points are bounds. Tap a source to hide it.",
            class_="lead",
        ),
        Html(_own("papers.html")),
        id="plot",
    )


def _section(file: PaperFile, outcomes: Mapping[str, Outcome]) -> Html:
    source = tag("a", file.spec.source, href=file.spec.source) if file.spec.source else None
    settings = (part for each in file.spec.settings for part in _setting(each, outcomes[each.name]))
    return tag(
        "section", tag("h2", file.spec.title), tag("p", file.spec.citation, ". ", source, class_="lead"), *settings,
        _list("Not addressed", [f"{each.says}: {each.why}" for each in file.spec.unaddressed]), id=file.name,
    )  # fmt: skip


def _setting(setting: Setting, outcome: Outcome) -> Iterator[Html]:
    yield tag("h3", setting.name)
    yield tag("p", setting.about, class_="about")
    if setting.figures:
        head = tag("thead", tag("tr", *(tag("th", name) for name in _HEAD)))
        body = tag("tbody", *(_row(figure, outcome) for figure in setting.figures))
        yield tag("div", tag("table", head, body), class_="scroll papers")
    for order in setting.orders:
        yield tag("p", f"{' > '.join(order.of)}: {held(outcome.orders[order.id])}", class_="note")
    for names, cause in missed(setting, outcome):
        yield tag("p", f"Missed ({'; '.join(names)}): {cause}", class_="note")
    inputs = [f"{each.change} {', '.join(map(str, each.values))}: {each.why}" for each in setting.uncertain]
    if (uncertain := _list("Uncertain inputs", inputs)) is not None:
        yield uncertain


def _list(title: str, lines: Sequence[str]) -> Html | None:
    """Lines that open on demand; nothing if there are none."""
    if not lines:
        return None
    return tag("details", tag("summary", title), tag("ul", *(tag("li", line) for line in lines), class_="note"))


def _row(figure: Figure, outcome: Outcome) -> Html:
    found = outcome.figures[figure.id]
    share, met = ratio(figure, found), figure.met(found.value)
    cells = (
        reported(figure), simulated(figure, found), "" if share is None else f"{share:.2f}",
        "met" if met else "missed", figure.evidence,
    )  # fmt: skip
    return tag("tr", tag("th", figure.says), *(tag("td", cell) for cell in cells), class_=None if met else "missed")


def _own(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
