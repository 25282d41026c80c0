"""What a page with a Gantt includes, besides the data of `scenarios.report.data.gantt_names` and its views."""

from __future__ import annotations

from string import Template

from scenarios.report.assets import asset
from scenarios.report.markup import Html

GANTT_STYLES = ("gantt/gantt.css",)
GANTT_SCRIPTS = (
    "choice.js",
    "packing.js",
    *(f"gantt/{name}.js" for name in ("view", "columns", "words", "axis", "picture", "motion", "gantt")),
)


def gantt_markup(choice: str = "Strategy") -> Html:
    """Its figure and controls; a page has one. `choice` is what a reader chooses among."""
    return Html(Template(asset("gantt/gantt.html")).substitute(choice=choice))
