"""The frame of all pages: one HTML file that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Template
from typing import Any, Literal

from scenarios.report import palette
from scenarios.report.assets import asset
from scenarios.report.markup import Html, embed_json, join, tag


def fill(
    *,
    title: str,
    facts: Iterable[str],
    verdict: Html,
    links: Mapping[str, str],
    sections: Iterable[Html | None],
    footer: str,
    data: Any,
    scripts: str,
    styles: str = "",
    brackets: str | Html = "",
    plotly: Literal["first", "last"] | None = "first",
) -> str:
    """The text of the file; `links` are titles of sections by anchor.

    Scripts find `data` as `report`. They may use Plotly at once if it comes `first`, or, if it comes `last`, which
    lets the page appear sooner, when `plotlyReady` (`assets/plotly.js`) has come.
    """
    return Template(asset("report.html")).substitute(
        title=join([title]),
        facts=join(tag("span", fact) for fact in facts),
        verdict=verdict,
        brackets=brackets,
        links=join(tag("a", text, href=f"#{anchor}") for anchor, text in links.items()),
        sections=join(sections),
        footer=join([footer]),
        css=palette.css() + asset("base.css") + asset("figures.css") + styles,
        plotly="" if plotly is None else _plotly("text/plain" if plotly == "last" else "text/javascript"),
        data=embed_json(data),
        js="".join(map(asset, ("theme.js", "plots.js", *(["plotly.js"] if plotly == "last" else [])))) + scripts,
    )


def _plotly(kind: str) -> str:
    from plotly.offline import get_plotlyjs

    return f'<script id="plotly" type="{kind}">{get_plotlyjs()}</script>'
