"""The page: the verdict, predicted against measured, the errors by schedule and by cause, both timelines."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from scenarios.report.assets import asset
from scenarios.report.data import gantt_names
from scenarios.report.deviations import cause_bars
from scenarios.report.gantt_assets import GANTT_SCRIPTS, GANTT_STYLES, gantt_markup
from scenarios.report.markup import Html, join, tag
from scenarios.report.template import fill
from scenarios.validate import Validation
from scenarios.validation_page.collect import NAMES, Collected
from scenarios.validation_page.errors import by_kind, by_schedule
from scenarios.validation_table import tenths, verdict
from sim.files import write_text
from sim.readable import percent, seconds

_ASSETS = files(__package__) / "assets"
_LEADS = {
    "scatter": (
        "Predicted and measured",
        "A dot a schedule; on the line the prediction is right, within the band it is off by a tenth at most. Bars are "
        "the range of the prediction, and how far repeated runs differ.",
    ),
    "schedules": ("Errors by schedule", "Predicted over measured minus one; to the right it was predicted too long."),
    "causes": (
        "Errors by cause",
        "What the critical paths of all schedules go to, measured and simulated, and the seconds of each kind of op.",
    ),
    "timeline": (
        "Measured over simulated",
        "The same schedule twice, lane by lane. Drag to zoom, double-click for all; tap an operation to see what it "
        "waited for.",
    ),
}


def write_validation(path: str | Path, found: Validation, collected: Collected) -> None:
    """Write the page as one offline HTML file, atomically."""
    write_text(path, render(found, collected))


def render(found: Validation, collected: Collected) -> str:
    """The text of the file."""
    shown = collected.shown()
    contents = {
        "scatter": Html((_ASSETS / "scatter.html").read_text(encoding="utf-8")),
        "schedules": by_schedule(found),
        "causes": join([cause_bars(collected.causes, NAMES), by_kind(found)]),
        "timeline": gantt_markup("Schedule") if shown else None,
    }
    sections = {name: content for name, content in contents.items() if content}
    return fill(
        title=f"{found.title} on {found.machine}",
        facts=[f"{len(found.schedules)} schedules", f"{sum(each.n_ops for each in found.schedules)} ops"],
        verdict=_verdict(found),
        brackets=tag("ul", *(tag("li", line) for line in verdict(found)), class_="brackets"),
        links={name: _LEADS[name][0] for name in sections},
        sections=[_section(name, content) for name, content in sections.items()],
        footer="Every schedule was planned and simulated by moesim, and the very same schedule was executed.",
        data=gantt_names() | {"runs": shown + [{"views": []}] * (len(collected) - len(shown))} | _points(found),
        styles="".join(asset(name) for name in (*GANTT_STYLES, "pace.css")),
        scripts="".join(map(asset, GANTT_SCRIPTS)) + (_ASSETS / "scatter.js").read_text(encoding="utf-8"),
        plotly="last",
    )


def _verdict(found: Validation) -> Html:
    order = f" {found.right_pairs} of {found.clear_pairs} clear pairs are ranked right." if found.clear_pairs else ""
    return join([
        "Half of the predictions are within ", tag("strong", tenths(found.median_error)), " of the measured time, ",
        tag("strong", tenths(found.p95_error)), f" at the 95th percentile.{order}",
    ])  # fmt: skip


def _points(found: Validation) -> dict[str, Any]:
    """What the scatter plot draws from."""
    return {
        "points": [
            {
                "scenario": each.scenario,
                "label": each.label,
                "predicted_s": each.comparison.predicted_s,
                "measured_s": each.comparison.measured_s,
                "range_s": None if each.range_s is None else [each.range_s.low, each.range_s.high],
                "spread": each.comparison.repeat_spread,
                "text": f"predicted {seconds(each.comparison.predicted_s)}, measured "
                f"{seconds(each.comparison.measured_s)}, repeats within {percent(each.comparison.repeat_spread)}",
            }
            for each in found.schedules
        ]
    }


def _section(name: str, content: Html) -> Html:
    title, lead = _LEADS[name]
    return tag("section", tag("h2", title), tag("p", lead, class_="lead"), content, id=name)
