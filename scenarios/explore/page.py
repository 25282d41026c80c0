"""The page: filters, three figures that follow them, the best points, and what failed, in one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.explore.columns import axis_titles, columns, flags
from scenarios.explore.figures import HEADINGS
from scenarios.explore.table import SweepTable
from scenarios.report.markup import Html, join, tag
from scenarios.report.template import fill
from sim.errors import InputError
from sim.files import write_text
from sim.readable import number, percent, seconds

_ASSETS = files(__package__) / "assets"
_SECTIONS = {"filters": "Filters", "parallel": "All at once", "pareto": "Compromises", "map": "Map", "best": "Best"}
_SCRIPTS = ("model.js", "filters.js", "axes.js", "parallel.js", "pareto.js", "grid.js", "map.js", "yaml.js", "best.js")
_MOST_CELLS = 330_000  # 3 MB of JSON at most
_CSP = "script-src 'unsafe-inline'"
_WEBGL_CSP = f"{_CSP} 'unsafe-eval'"  # Plotly compiles what draws very many points


def write_page(path: Path, table: SweepTable) -> None:
    """Write the page of at most 8 MB, atomically; equal tables give equal bytes.

    Raises InputError if no point was evaluated.
    """
    if not table.rows:
        why = f": {next(iter(table.failures))}" if table.failures else ""
        raise InputError(f"no point of {table.name} was evaluated{why}", file=path, remedy="mend the sweep")
    write_text(path, render(table))


def render(table: SweepTable) -> str:
    """The text of the file."""
    rows = shown_rows(table)
    links = _SECTIONS | ({"failed": "Failed"} if table.failures else {})
    html = fill(
        title=f"{table.spec.get('title') or table.name}: sweep",
        facts=_facts(table),
        verdict=_verdict(table),
        brackets=_thinned(table, len(rows)),
        links=links,
        sections=[*(Html(own(f"{anchor}.html")) for anchor in _SECTIONS), _failed(table)],
        footer="Evaluated by moesim sweep; the page works on what it holds, without a network.",
        data=data(table, rows),
        styles=own("explore.css"),
        scripts="".join(own(name) for name in _SCRIPTS),
    )
    return html.replace(_CSP, _WEBGL_CSP, 1)


def data(table: SweepTable, rows: Sequence[int]) -> dict[str, Any]:
    """What the page's scripts draw from."""
    return {
        "columns": columns(table, rows),
        "axes": table.axes,
        "fixed": {path: table.columns[path][0] for path in table.axes if len(set(table.columns[path])) == 1},
        "feasible": flags(table.columns.get("feasible", [True] * table.rows), rows),
        "nth": [table.nth[row] for row in rows],
        "points": [table.columns["point"][row] for row in rows],
        "objectives": table.objectives,
        "constraints": table.spec.get("constraints", []),
        "scenario": table.scenario,
    }


def shown_rows(table: SweepTable) -> list[int]:
    """All rows, or as many as the page has room for: the sweep's Pareto front, and of the others every n-th."""
    most = _MOST_CELLS // (3 + len(table.axes) + len(table.figures))
    if table.rows <= most:
        return list(range(table.rows))
    front = np.flatnonzero(np.array(table.columns.get("pareto", [False] * table.rows), bool))[:most]
    others = np.setdiff1d(np.arange(table.rows), front)
    picked = others[np.linspace(0, len(others) - 1, most - len(front)).astype(int)]
    rows: list[int] = np.union1d(front, picked).tolist()
    return rows


def own(name: str) -> str:
    """A file of this page alone."""
    return (_ASSETS / name).read_text(encoding="utf-8")


def _facts(table: SweepTable) -> list[str]:
    failed = sum(table.failures.values())
    strategies = len(set(table.columns["strategy"]))
    return [
        f"{table.points:,} points" + (f", {table.spec['method']}" if "method" in table.spec else ""),
        f"{table.rows:,} runs",
        f"{len(table.axes)} fields varied",
        *([f"{strategies} strategies"] if strategies > 1 else []),
        *([f"{failed:,} failed"] if failed else []),
    ]


def _verdict(table: SweepTable) -> Html:
    """The best row by the first objective, and where it is."""
    objective = table.objectives[0]
    feasible = table.columns.get("feasible", [True] * table.rows)
    values = table.columns[objective["figure"]]
    able = [row for row in range(table.rows) if feasible[row] and values[row] is not None]
    title = HEADINGS[objective["figure"]].title
    if not able:
        return join([f"No point meets the constraints and has the figure {title}."])
    best = (max if objective["better"] == "higher" else min)(able, key=lambda row: values[row])
    places = [
        f"{title} {_plain(table.columns[path][best])}"
        for path, title in axis_titles(table).items()
        if len(set(table.columns[path])) > 1
    ]
    where = f" at {', '.join(places)}" if places else ""
    reading = reads(objective["figure"], values[best])
    return join(
        [
            f"{title} is best with ",
            tag("strong", table.columns["strategy"][best]),
            where,
            ": ",
            tag("strong", reading),
            ".",
        ]
    )


def _plain(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def reads(figure: str, value: float) -> str:
    """A value with its unit."""
    unit = HEADINGS[figure].unit
    if unit == "s":
        return seconds(value)
    return percent(value) if unit == "share" else f"{number(value)} {unit}"


def _thinned(table: SweepTable, shown: int) -> Html:
    if shown == table.rows:
        return Html("")
    text = f"The page holds {shown:,} of {table.rows:,} runs: the Pareto front and an even sample of the others."
    return tag("p", text, class_="brackets")


def _failed(table: SweepTable) -> Html | None:
    """Reasons, the most frequent first."""
    if not table.failures:
        return None
    rows = [tag("tr", tag("td", f"{count:,}"), tag("td", reason)) for reason, count in table.failures.items()]
    body = tag("table", tag("tbody", *rows), class_="sources")
    total = sum(table.failures.values())
    lead = tag("p", f"{total:,} runs gave no figures, for these reasons.", class_="lead")
    return tag("section", tag("h2", "Failed"), lead, body, id="failed")
