"""What sets the pace: each strategy's critical path by cause, and what keeps it from the physical limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from scenarios.report.causes import MEANINGS, paint
from scenarios.report.markup import Html, join, tag
from scenarios.report.ranking import Entry
from scenarios.report.units import SECONDS, aligned
from sim.critical_path import Cause, Path
from sim.gap import Gap
from sim.readable import percent, seconds

_VISIBLE = 5e-4  # share of a run below which a part is not drawn
_GAP = {
    "limit": ("the limit", "--ink-3", "No strategy with as many experts on the GPU takes less."),
    "policy": (
        "policy",
        "--p-demand-load",
        "Other experts on the GPU, or another split with the CPU, would save this.",
    ),
    "prediction": ("prediction", "--p-wasted-prefetch", "Prefetches that nobody used."),
    "overlap": ("overlap", "--p-sharing", "GPU, CPU and link wait for each other."),
    "dispatch": ("dispatch", "--p-dispatch", "The host's software, and waking up."),
}


def pace(entries: Sequence[Entry], paths: Sequence[Path]) -> Html:
    """Two lists of stacked bars; a part of a path is a button that leads to the Gantt (`assets/pace.js`)."""
    spent = [_by_cause(path) for path in paths]
    seen = sorted({cause for each in spent for cause in each})
    legend = _legend((cause.label, paint(cause), MEANINGS[cause]) for cause in seen)
    return join(
        [
            legend,
            _list(entries, [_path_bar(entry, causes) for entry, causes in zip(entries, spent, strict=True)]),
            *_limits([entry for entry in entries if entry.run.gap is not None]),
        ]
    )


def _limits(entries: Sequence[Entry]) -> list[Html]:
    if not entries:
        return []
    parts = [_gap_parts(entry.run.gap) for entry in entries if entry.run.gap is not None]
    seen = [name for name in _GAP if any(each[name] > 0 for each in parts)]
    return [
        tag("h3", "From the physical limit to here", tag("small", "what would have to change")),
        _legend((label, f"var({colour})", why) for label, colour, why in (_GAP[name] for name in seen)),
        _list(entries, [_gap_bar(entry, each) for entry, each in zip(entries, parts, strict=True)]),
    ]


def _by_cause(path: Path) -> dict[Cause, float]:
    """Seconds, those that can be seen."""
    sums = np.bincount(path.cause, path.segment_s, len(Cause))
    return {cause: float(sums[cause]) for cause in Cause if sums[cause] >= _VISIBLE * path.length_s}


def _gap_parts(found: Gap) -> dict[str, float]:
    return {"limit": found.limit_s, **found.parts}


def _list(entries: Sequence[Entry], bars: Sequence[tuple[Html, str]]) -> Html:
    _, lengths = aligned([entry.run.summary.makespan_s for entry in entries], SECONDS)
    unit, _ = aligned([entry.run.summary.makespan_s for entry in entries], SECONDS)
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


def _path_bar(entry: Entry, spent: Mapping[Cause, float]) -> tuple[Html, str]:
    total_s = entry.run.summary.makespan_s or 1.0
    largest = sorted(spent.items(), key=lambda item: -item[1])
    parts = [
        tag(
            "button",
            type="button",
            style=f"width:{s / total_s:.3%};--paint:{paint(cause)}",
            title=f"{cause.label}: {seconds(s)}, {percent(s / total_s)} of the run",
            aria_label=f"{cause.label}, {percent(s / total_s)}: show in the timeline",
            data_cause=str(int(cause)),
            data_seconds=repr(s),
        )
        for cause, s in largest
    ]
    return tag("span", *parts, class_="track"), _said({cause.label: s for cause, s in largest}, total_s)


def _gap_bar(entry: Entry, parts: Mapping[str, float]) -> tuple[Html, str]:
    total_s = sum(parts.values()) or 1.0
    drawn = [
        tag(
            "i",
            style=f"width:{s / total_s:.3%};--paint:var({_GAP[name][1]})",
            title=f"{_GAP[name][0]}: {seconds(s)}, {percent(s / total_s)} of the run",
            data_part=name,
            data_seconds=repr(s),
        )
        for name, s in parts.items()
        if s >= _VISIBLE * total_s
    ]
    lost = {_GAP[name][0]: s for name, s in parts.items() if name != "limit"}
    return tag("span", *drawn, class_="track"), f"{percent(entry.run.of_limit)} of the limit; {_said(lost, total_s)}"


def _said(spent: Mapping[str, float], total_s: float) -> str:
    """The two that take most."""
    most = sorted(spent.items(), key=lambda item: -item[1])[:2]
    return ", ".join(f"{name} {percent(s / total_s)}" for name, s in most if s >= 0.005 * total_s)


def _legend(items: Iterable[tuple[str, str, str]]) -> Html:
    return tag(
        "ul",
        *(tag("li", label, style=f"--paint:{colour}", title=why) for label, colour, why in items),
        class_="legend",
    )
