"""Memory bars: what each strategy keeps on the GPU and on the host, against what can be used."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.report.markup import Html, tag
from scenarios.report.palette import MEMORY
from scenarios.report.ranking import Entry
from sim.machine import Machine
from sim.memory import GPU_MEMORY, HOST_MEMORY, Footprint
from sim.readable import number

_TITLES = {GPU_MEMORY: "GPU memory", HOST_MEMORY: "Host memory"}
_N_PAINTS = len(MEMORY)


def memory_bars(entries: Sequence[Entry], machine: Machine) -> Html:
    """One panel a memory; strategies that need exactly the same share a bar."""
    gpu = [(entry, entry.run.footprint) for entry in entries]
    host = [(entry, entry.run.host_footprint) for entry in entries]
    return tag("div", *(_panel(pairs, machine) for pairs in (gpu, host)), class_="panels")


def _panel(pairs: Sequence[tuple[Entry, Footprint]], machine: Machine) -> Html:
    memory = pairs[0][1].memory
    usable = machine.memory[memory].usable_bytes
    top = max(usable, *(footprint.total_bytes for _, footprint in pairs))
    items = list(dict.fromkeys(item for _, footprint in pairs for item, size in footprint.items.items() if size))
    paints = {item: f"var(--m{i % _N_PAINTS})" for i, item in enumerate(items)}
    alike: dict[tuple[tuple[str, int], ...], list[tuple[Entry, Footprint]]] = {}
    for entry, footprint in pairs:
        alike.setdefault(tuple(footprint.items.items()), []).append((entry, footprint))
    rows = [_row([entry for entry, _ in group], group[0][1], paints, usable, top) for group in alike.values()]
    return tag(
        "div",
        tag(
            "h3",
            _TITLES.get(memory, memory),
            tag("small", f"{number(usable / 1e9)} GB usable of {_nominal(machine, memory)}"),
        ),
        tag(
            "ul",
            *(tag("li", item, style=f"--paint:{paint}") for item, paint in paints.items()),
            tag("li", "usable", class_="limit"),
            class_="legend",
        ),
        tag("ul", *rows, class_="bars", style=f"--limit:{usable / top:.3%}"),
        class_="panel memory",
    )


def _row(entries: Sequence[Entry], footprint: Footprint, paints: dict[str, str], usable: int, top: int) -> Html:
    labels = [entry.label for entry in entries]
    total = footprint.total_bytes
    parts = [
        tag(
            "i",
            style=f"width:{size / top:.3%};--paint:{paints[item]}",
            title=f"{item}: {number(size / 1e9)} GB",
        )
        for item, size in footprint.items.items()
        if size
    ]
    over = total - usable
    excess = tag("small", f"{over / 1e9:.1f} GB too much", class_="bad") if over > 0 else None
    return tag(
        "li",
        tag("span", _few(labels), excess, class_="name", title=", ".join(labels)),
        tag("b", f"{total / 1e9:.1f} GB" if total else "none"),
        tag("span", *parts, class_="track stack"),
        data_label=", ".join(labels),
        data_value=str(total),
    )


def _few(labels: Sequence[str]) -> str:
    """All names if they are few, else the first two and how many more."""
    return ", ".join(labels) if len(labels) <= 3 else f"{labels[0]}, {labels[1]} and {len(labels) - 2} more"


def _nominal(machine: Machine, memory: str) -> str:
    return f"{number(machine.memory[memory].nominal_bytes / 1e9)} GB"
