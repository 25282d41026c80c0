"""Cards of why a run takes as long as it does: critical path, bounds, gap, difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sim.notebook.card import Card, Row
from sim.readable import change, number, percent, seconds

if TYPE_CHECKING:
    from sim.bounds import Bounds
    from sim.critical_path import Path
    from sim.gap import Gap
    from sim.timeline_diff import Difference

_MOST = 6
VISIBLE = 0.005  # share of a run below which a part is not named
REST = "all else"


def largest(parts: Mapping[str, float], whole: float) -> list[tuple[str, float]]:
    """The few parts, given largest first, that matter to a whole, and what they leave of it as `REST`."""
    named = [(name, part) for name, part in parts.items() if part >= VISIBLE * whole][:_MOST]
    rest = whole - sum(part for _, part in named)
    return named + ([(REST, rest)] if rest > VISIBLE * whole else [])


def path_card(path: Path) -> Card:
    """What the makespan is spent on."""
    rows = [_part(name, part_s, path.length_s) for name, part_s in largest(path.seconds("cause"), path.length_s)]
    strategy = path.timeline.schedule.meta.get("strategy", "a strategy")
    return Card(f"Critical path of {strategy}: {seconds(path.length_s)} in {len(path):,} segments", rows)


def bounds_card(bounds: Bounds) -> Card:
    """Each bound beside the limit."""
    limits = {
        "compute alone": bounds.compute_s,
        "compute, link and shared capacities": bounds.balance_s,
        "memory bandwidth": bounds.bandwidth_s,
        "link, without CPU experts": bounds.link_s,
        "dispatch, of this software": bounds.dispatch_s,
    }
    longest_s = max(limits.values())
    rows = [Row(name, (seconds(s),), s / longest_s if longest_s else 0.0) for name, s in limits.items()]
    misses = percent(bounds.least_misses / bounds.n_uses) if bounds.n_uses else "–"
    note = f"{misses} of {bounds.n_uses:,} uses of experts miss at least, with {bounds.n_slots} slots"
    title = f"Physical limit: {seconds(bounds.limit_s)}, bound by {bounds.bound_by}"
    return Card(title, rows, notes=[note])


def gap_card(gap: Gap) -> Card:
    """From the limit to the run, part by part."""
    parts = {"physical limit": gap.limit_s, **gap.parts}
    whole_s = sum(parts.values())
    return Card(f"{seconds(whole_s)} in parts", [_part(name, s, whole_s) for name, s in parts.items()])


def difference_card(difference: Difference) -> Card:
    """The causes that changed most; their changes sum to that of the makespan."""
    longest_s = max(difference.a_s, difference.b_s)
    rows = [
        Row(name, (seconds(a_s), seconds(b_s), change(b_s - a_s)))
        for name, (a_s, b_s) in list(difference.causes.items())[:_MOST]
        if abs(b_s - a_s) >= VISIBLE * longest_s
    ]
    pairs = difference.alignment
    ops = f"{len(pairs.a):,} ops are in both, {len(pairs.only_a):,} in A only, {len(pairs.only_b):,} in B only"
    times = number(difference.b_s / difference.a_s if difference.a_s else None)
    title = f"From {seconds(difference.a_s)} (A) to {seconds(difference.b_s)} (B): {times} times as long"
    return Card(title, rows, head=("on the critical path", "A", "B", "change"), notes=[ops])


def _part(name: str, part_s: float, whole_s: float) -> Row:
    share = part_s / whole_s if whole_s else 0.0
    return Row(name, (seconds(part_s), percent(share)), share)
