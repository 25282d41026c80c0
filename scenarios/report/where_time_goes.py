"""Where the time goes: for each strategy and lane, the busy share of the run, stacked by reason."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scenarios.report.categories import CATEGORIES, busy_s
from scenarios.report.lane_names import short_name
from scenarios.report.markup import Html, join, tag
from scenarios.report.ranking import Entry
from sim.readable import percent

_VISIBLE = 5e-4  # share of a run below which a lane or a segment is not drawn


def where_time_goes(entries: Sequence[Entry]) -> Html:
    """A grid of strategies × lanes; lanes that no run uses are left out."""
    shares = [_shares(entry) for entry in entries]
    lanes = [lane for lane in dict.fromkeys(name for each in shares for name in each) if _used(lane, shares)]
    seen = sorted({code for each in shares for lane in lanes for code in _segments(each.get(lane))})
    head = tag("div", tag("span", class_="name"), *(tag("span", short_name(lane)) for lane in lanes), class_="head")
    rows = [_row(entry, each, lanes) for entry, each in zip(entries, shares, strict=True)]
    grid = tag("div", head, *rows, class_="lanes", style=f"--lanes:{len(lanes)}")
    return join([legend(seen), grid])


def legend(codes: Sequence[int]) -> Html:
    """What the colours of some categories stand for."""
    items = [tag("li", CATEGORIES[code].label, style=f"--paint:{CATEGORIES[code].paint}") for code in codes]
    return tag("ul", *items, class_="legend")


def _shares(entry: Entry) -> dict[str, NDArray[np.float64]]:
    timeline = entry.run.timeline
    total_s = timeline.makespan_s or 1.0
    names = [lane.name for lane in timeline.schedule.lanes]
    return dict(zip(names, busy_s(timeline) / total_s, strict=True))


def _used(lane: str, shares: Sequence[dict[str, NDArray[np.float64]]]) -> bool:
    return any(lane in each and each[lane].sum() >= _VISIBLE for each in shares)


def _segments(shares: NDArray[np.float64] | None) -> list[int]:
    return [] if shares is None else np.flatnonzero(shares >= _VISIBLE).tolist()


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
        for code in _segments(shares)
    ]
    return tag(
        "span",
        tag("b", percent(total)),
        tag("span", *parts, class_="track"),
        class_="cell",
        data_lane=short_name(lane),
        data_value=repr(total),
    )
