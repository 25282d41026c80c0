"""Where the time goes: for each strategy and lane, the busy share of the run, stacked by reason."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scenarios.report.categories import CATEGORIES
from scenarios.report.lane_names import short_name
from scenarios.report.lane_shares import lane_shares, segments
from scenarios.report.markup import Html, join, tag
from scenarios.report.ranking import Entry
from sim.readable import percent


def where_time_goes(entries: Sequence[Entry]) -> Html:
    """A grid of strategies × lanes; lanes that no run uses are left out."""
    found = lane_shares(entries)
    heads = (tag("span", short_name(lane)) for lane in found.lanes)
    rows = [_row(entry, each, found.lanes) for entry, each in zip(entries, found.shares, strict=True)]
    head = tag("div", tag("span", class_="name"), *heads, class_="head")
    return join([legend(found.seen), tag("div", head, *rows, class_="lanes", style=f"--lanes:{len(found.lanes)}")])


def legend(codes: Sequence[int]) -> Html:
    """What the colours of some categories stand for."""
    items = [tag("li", CATEGORIES[code].label, style=f"--paint:{CATEGORIES[code].paint}") for code in codes]
    return tag("ul", *items, class_="legend")


def _row(entry: Entry, shares: dict[str, NDArray[np.float64]], lanes: Sequence[str]) -> Html:
    name = tag("span", entry.label, tag("small", entry.bracket) if entry.bracket else None, class_="name")
    return tag("div", name, *(_cell(lane, shares.get(lane)) for lane in lanes), data_label=entry.label)


def _cell(lane: str, shares: NDArray[np.float64] | None) -> Html:
    if shares is None or not (total := float(shares.sum())):
        return tag("span", class_="cell idle")
    parts = [
        tag(
            "i",
            style=f"width:{shares[code]:.3%};--paint:{CATEGORIES[code].paint}",
            title=f"{CATEGORIES[code].label}: {percent(float(shares[code]))} of the run",
        )
        for code in segments(shares)
    ]
    return tag(
        "span",
        tag("b", percent(total)),
        tag("span", *parts, class_="track"),
        class_="cell",
        data_lane=short_name(lane),
        data_value=repr(total),
    )
