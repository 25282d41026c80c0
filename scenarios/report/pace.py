"""What sets the pace: each strategy's critical path by cause, and what keeps it from the physical limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scenarios.report.markup import Html, join, tag
from scenarios.report.pace_parts import LIMIT, VISIBLE, Part, gap_parts, path_parts, union
from scenarios.report.ranking import Entry
from scenarios.report.units import SECONDS, aligned
from sim.critical_path import Path
from sim.readable import percent, seconds


def pace(entries: Sequence[Entry], paths: Sequence[Path]) -> Html:
    """Two lists of stacked bars; a part of a path is a button that leads to the Gantt (`assets/pace.js`)."""
    spent = [path_parts(path) for path in paths]
    return join(
        [
            _legend(spent),
            _list(entries, [_path_bar(entry, parts) for entry, parts in zip(entries, spent, strict=True)]),
            *_limits(entries),
        ]
    )


def _limits(entries: Sequence[Entry]) -> list[Html]:
    found = [(entry, gap_parts(entry.run.gap)) for entry in entries if entry.run.gap is not None]
    if not found:
        return []
    return [
        tag("h3", "From the physical limit to here", tag("small", "what would have to change")),
        _legend([parts for _, parts in found]),
        _list([entry for entry, _ in found], [_gap_bar(entry, parts) for entry, parts in found]),
    ]


def _list(entries: Sequence[Entry], bars: Sequence[tuple[Html, str]]) -> Html:
    unit, lengths = aligned([entry.run.summary.makespan_s for entry in entries], SECONDS)
    items = [
        tag(
            "li",
            tag("span", entry.label, tag("small", entry.bracket) if entry.bracket else None, class_="name"),
            tag("b", f"{length} {unit}"),
            bar,
            tag("span", said, class_="said"),
            data_label=entry.label,
        )
        for entry, length, (bar, said) in zip(entries, lengths, bars, strict=True)
    ]
    return tag("ul", *items, class_="pace")


def _path_bar(entry: Entry, parts: Sequence[Part]) -> tuple[Html, str]:
    total_s = entry.run.summary.makespan_s or 1.0
    drawn = [
        tag(
            "button",
            type="button",
            style=f"width:{part.seconds / total_s:.3%};--paint:{part.paint}",
            title=_title(part, total_s),
            aria_label=f"{part.label}, {percent(part.seconds / total_s)}: show in the timeline",
            data_cause=part.key,
            data_seconds=repr(part.seconds),
        )
        for part in _largest(parts)
    ]
    return tag("span", *drawn, class_="track"), _said(parts, total_s)


def _gap_bar(entry: Entry, parts: Sequence[Part]) -> tuple[Html, str]:
    total_s = sum(part.seconds for part in parts) or 1.0
    lost = [part for part in parts if part.key != LIMIT]
    drawn = [
        tag(
            "i",
            style=f"width:{part.seconds / total_s:.3%};--paint:{part.paint}",
            title=_title(part, total_s),
            data_part=part.key,
            data_seconds=repr(part.seconds),
        )
        for part in (*(part for part in parts if part.key == LIMIT), *_largest(lost))
        if part.seconds >= VISIBLE * total_s
    ]
    return tag("span", *drawn, class_="track"), f"{percent(entry.run.of_limit)} of the limit; {_said(lost, total_s)}"


def _title(part: Part, total_s: float) -> str:
    return f"{part.label}: {seconds(part.seconds)}, {percent(part.seconds / total_s)} of the run"


def _largest(parts: Iterable[Part]) -> list[Part]:
    return sorted(parts, key=lambda part: -part.seconds)


def _said(parts: Sequence[Part], total_s: float) -> str:
    """The two that take most."""
    most = [part for part in _largest(parts)[:2] if part.seconds >= 0.005 * total_s]
    return ", ".join(f"{part.label} {percent(part.seconds / total_s)}" for part in most)


def _legend(spent: Sequence[Sequence[Part]]) -> Html:
    return tag(
        "ul",
        *(tag("li", part.label, style=f"--paint:{part.paint}", title=part.meaning) for part in union(spent)),
        class_="legend",
    )
