"""The page: sections put together in one HTML file that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scenarios.report.assets import asset
from scenarios.report.assumptions import assumptions, headline
from scenarios.report.comparison import comparison
from scenarios.report.data import data
from scenarios.report.gantt_assets import GANTT_SCRIPTS, GANTT_STYLES, gantt_markup
from scenarios.report.markup import Html, join, tag
from scenarios.report.memory_bars import memory_bars
from scenarios.report.metrics_table import metrics_table
from scenarios.report.pace import pace
from scenarios.report.ranking import Entry, rank
from scenarios.report.template import fill
from scenarios.report.verdict import brackets, verdict
from scenarios.report.where_time_goes import where_time_goes
from scenarios.results import ScenarioResult, ranges_made
from sim.critical_path import Path as CriticalPath
from sim.critical_path import critical_path
from sim.errors import InputError
from sim.files import write_text
from sim.schedule import Phase

_STYLES = ("pace.css", *GANTT_STYLES, "expert_maps.css")
_SCRIPTS = (*GANTT_SCRIPTS, "pace.js", "expert_maps.js", "over_time.js", "latency.js")


class Section(NamedTuple):
    """A part of the page; left out if it has no content."""

    anchor: str
    title: str
    lead: str | None
    content: Html | None


def write_report(path: str | Path, result: ScenarioResult) -> None:
    """Write the report of a scenario as one offline HTML file of at most 8 MB, atomically.

    Equal results give equal bytes. Raises InputError if the file cannot be written or there is nothing to report.
    """
    if not result.runs:
        raise InputError("there is nothing to report: no strategy was run", file=path)
    write_text(path, render(result))


def render(result: ScenarioResult) -> str:
    """The text of the file."""
    entries = rank(result.runs)
    kept = [entry for entry in entries if not entry.run.streamed]
    paths = [critical_path(entry.run.timeline, result.costs(entry.run)) for entry in kept]
    sections = [section for section in _sections(result, entries, kept, paths) if section.content is not None]
    reference = brackets(entries)
    return fill(
        title=result.title or f"{result.model.name} on {result.machine.name}",
        facts=headline(result),
        verdict=verdict(entries, result.machine.name),
        brackets=tag("p", reference, class_="brackets") if reference else "",
        links={section.anchor: section.title for section in sections},
        sections=map(_markup, sections),
        footer=_footer(result),
        data=data(kept, paths),
        styles="".join(map(asset, _STYLES)),
        scripts="".join(map(asset, _SCRIPTS)),
        plotly="last",
    )


def _sections(
    result: ScenarioResult, entries: Sequence[Entry], kept: Sequence[Entry], paths: Sequence[CriticalPath]
) -> list[Section]:
    decodes = any(step.phase == Phase.DECODE for run in result.runs for step in run.schedule.steps)
    return [
        Section("comparison", "Comparison", _whiskers(entries), comparison(entries)),
        Section("numbers", "All numbers", None, metrics_table(entries)),
        Section(
            "pace",
            "What sets the pace",
            "The critical path is the chain of operations and waits that ends with the run: its parts add up to the "
            "whole time, and only what shortens it makes the run faster. Tap a part to see it in the timeline.",
            pace(kept, paths) if kept else None,
        ),
        Section(
            "time",
            "Where the time goes",
            "How much of the run each lane is busy, and what with. Lanes work side by side: the fullest sets the pace.",
            where_time_goes(kept) if kept else None,
        ),
        Section(
            "timeline",
            "Timeline",
            "What each lane did when. Drag to zoom (on a touch screen: two fingers), double-click for all; tap an "
            "operation to see what it waited for, and what that waited for; tap the name of a colour to hide it."
            if kept
            else None,
            join([gantt_markup() if kept else None, _not_kept(entries)]),
        ),
        Section(
            "experts",
            "Experts",
            "Each expert of each layer: how often it was needed, how long its weights were on the GPU, "
            "and how often they were not there when it was needed.",
            Html(asset("expert_maps.html")) if kept else None,
        ),
        Section(
            "over-time",
            "Over time",
            "The cache, the link and the devices, step by step. Tap a strategy to hide it.",
            Html(asset("over_time.html")) if kept else None,
        ),
        Section(
            "latency",
            "Latency per token",
            "Time of each decode step over the run, and how it is distributed. Tap a strategy to hide it.",
            Html(asset("latency.html")) if decodes else None,
        ),
        Section("memory", "Memory", None, memory_bars(entries, result.machine)),
        Section(
            "assumptions",
            "Assumptions",
            "What these figures rest on, and where each number comes from.",
            assumptions(result, entries),
        ),
    ]


def _whiskers(entries: Sequence[Entry]) -> str | None:
    made = ranges_made([entry.run for entry in entries])
    return None if made is None else f"Whiskers hold {made}."


def _not_kept(entries: Sequence[Entry]) -> Html | None:
    """What is to be said of runs whose ops were not kept; None if there are none."""
    labels = [entry.label for entry in entries if entry.run.streamed]
    if not labels:
        return None
    why = "streamed: they were summed up op by op while they ran, and nothing of them is left to draw."
    who = "All strategies" if len(labels) == len(entries) else ", ".join(labels)
    return tag("p", f"{who} were {why}", class_="streamed")


def _markup(section: Section) -> Html:
    lead = tag("p", section.lead, class_="lead") if section.lead else None
    return tag("section", tag("h2", section.title), lead, section.content, id=section.anchor)


def _footer(result: ScenarioResult) -> str:
    sources = sorted({run.timeline.source for run in result.runs})
    return f"Times are {' and '.join(sources)} by moesim; the machine is {result.machine.origin}."
