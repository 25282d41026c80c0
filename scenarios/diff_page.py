"""Two timelines as a page: what changed along their critical paths, and both lane by lane."""

from __future__ import annotations

from pathlib import Path

from scenarios.report.assets import asset
from scenarios.report.data import gantt_names
from scenarios.report.deviations import Deviation, cause_bars, deviation_bars
from scenarios.report.gantt_assets import GANTT_SCRIPTS, GANTT_STYLES, gantt_markup
from scenarios.report.gantt_pair import pair
from scenarios.report.markup import Html, join, tag
from scenarios.report.template import fill
from sim.files import write_text
from sim.readable import change, number, seconds
from sim.timeline_diff import Difference

_ROWS = 250_000  # of both timelines


def write_difference(path: str | Path, found: Difference, names: tuple[str, str]) -> None:
    """Write the page as one offline HTML file, atomically."""
    write_text(path, render(found, names))


def render(found: Difference, names: tuple[str, str]) -> str:
    """The text of the file; `names` are those of the timelines."""
    drawn = pair(f"{names[0]} over {names[1]}", *found.paths, ("A", "B"), _ROWS)
    sections = {
        "change": ("What changed", join([cause_bars(found.causes, ("A", "B")), _kinds(found)])),
        "timeline": ("A over B", gantt_markup("Timelines")),
    }
    return fill(
        title=f"A: {names[0]} · B: {names[1]}",
        facts=[f"{len(found.alignment.a):,} ops in both", f"{len(found.alignment.only_a):,} in A only",
               f"{len(found.alignment.only_b):,} in B only"],
        verdict=_verdict(found, names),
        links={name: title for name, (title, _) in sections.items()},
        sections=[tag("section", tag("h2", title), content, id=name) for name, (title, content) in sections.items()],
        footer="Ops of one kind, step, layer and expert are taken for the same.",
        data=gantt_names() | {"runs": [drawn]},
        styles="".join(asset(name) for name in (*GANTT_STYLES, "pace.css")),
        scripts="".join(map(asset, GANTT_SCRIPTS)),
        plotly=None,
    )  # fmt: skip


def _verdict(found: Difference, names: tuple[str, str]) -> Html:
    ratio = number(found.b_s / found.a_s) if found.a_s else "–"
    name, (a_s, b_s) = next(iter(found.causes.items()), ("nothing", (0.0, 0.0)))
    return join([
        tag("strong", names[1]), f" takes {seconds(found.b_s)}, ", tag("strong", f"{ratio} times"),
        f" as long as {names[0]} ({seconds(found.a_s)}). The largest change is in {name}: {change(b_s - a_s)}.",
    ])  # fmt: skip


def _kinds(found: Difference) -> Html:
    return join([tag("h3", "By kind of operation"), deviation_bars(kind_changes(found))])


def kind_changes(found: Difference) -> list[Deviation]:
    """By how much the busy seconds of each kind of op, which overlap in time, changed."""
    return [
        Deviation(
            f"{row.kind} on {row.lane}", row.b_s - row.a_s, change(row.b_s - row.a_s),
            f"A {seconds(row.a_s)} ({row.count_a:,} ops), B {seconds(row.b_s)} ({row.count_b:,})",
        )
        for row in found.kinds
    ]  # fmt: skip
