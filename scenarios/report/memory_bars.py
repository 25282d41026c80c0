"""Memory bars: what each strategy keeps on the GPU and on the host, against what can be used."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.report.markup import Html, tag
from scenarios.report.memory_use import MemoryUse, few, memory_use
from scenarios.report.ranking import Entry
from sim.machine import Machine
from sim.memory import Footprint
from sim.readable import number


def memory_bars(entries: Sequence[Entry], machine: Machine) -> Html:
    """One panel a memory; strategies that need exactly the same share a bar."""
    return tag("div", *map(_panel, memory_use(entries, machine)), class_="panels")


def _panel(use: MemoryUse) -> Html:
    rows = [_row(entries, footprint, use) for entries, footprint in use.rows]
    return tag(
        "div",
        tag("h3", use.title, tag("small", use.note)),
        tag(
            "ul",
            *(tag("li", item, style=f"--paint:{paint}") for item, paint in use.paints.items()),
            tag("li", "usable", class_="limit"),
            class_="legend",
        ),
        tag("ul", *rows, class_="bars", style=f"--limit:{use.usable_bytes / use.top_bytes:.3%}"),
        class_="panel memory",
    )


def _row(entries: Sequence[Entry], footprint: Footprint, use: MemoryUse) -> Html:
    labels = [entry.label for entry in entries]
    total = footprint.total_bytes
    parts = [
        tag(
            "i",
            style=f"width:{size / use.top_bytes:.3%};--paint:{use.paints[item]}",
            title=f"{item}: {number(size / 1e9)} GB",
        )
        for item, size in footprint.items.items()
        if size
    ]
    over = total - use.usable_bytes
    excess = tag("small", f"{over / 1e9:.1f} GB too much", class_="bad") if over > 0 else None
    return tag(
        "li",
        tag("span", few(labels), excess, class_="name", title=", ".join(labels)),
        tag("b", f"{total / 1e9:.1f} GB" if total else "none"),
        tag("span", *parts, class_="track stack"),
        data_label=", ".join(labels),
        data_value=str(total),
    )
