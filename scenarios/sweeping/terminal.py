"""A finished sweep for the terminal: how many points became of it, the front, and why points failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from scenarios.sweeping.columns import FAILED, Row
from scenarios.sweeping.load import Sweep
from scenarios.sweeping.pareto import losses
from scenarios.sweeping.spec import ObjectiveSpec
from scenarios.table import new_table, terminal
from sim.readable import number

_SHOWN = 20
_REASONS = 3


def summary(sweep: Sweep, rows: Sequence[Row]) -> dict[str, Any]:
    """What became of a sweep, as plain JSON values."""
    found = _front(rows)
    return {
        "points": len({row["point"] for row in rows}),
        "rows": len(rows),
        "failed": sum(row["status"] == FAILED for row in rows),
        "feasible": sum(row["feasible"] for row in rows),
        "reasons": dict(Counter(row["reason"] for row in rows if row["status"] == FAILED).most_common()),
        "objectives": [objective.model_dump() for objective in sweep.spec.objectives],
        "knee": found[_knee(found, sweep.spec.objectives)]["point"] if found else None,
        "front": found,
    }


def print_sweep(sweep: Sweep, rows: Sequence[Row]) -> None:
    """Print the front by its first objective, with the best by each and the knee marked, and why points failed."""
    console, (found, alike) = (
        terminal(),
        _distinct(_by_first(_front(rows), sweep.spec.objectives), sweep.spec.objectives),
    )
    marks = _marks(found, sweep.spec.objectives)
    chosen = _chosen(len(found), marks)
    axes = [axis for axis in sweep.axes if len({str(row[axis.path]) for row in found}) > 1]
    table = new_table(sweep.spec.title or sweep.source.path.stem)
    for title in ("strategy", *(axis.path for axis in axes)):
        table.add_column(title, no_wrap=True)
    for title in sweep.spec.figures:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for i in chosen:
        cells = [str(found[i][axis.path]) for axis in axes] + [number(found[i][name]) for name in sweep.spec.figures]
        more = [f"{alike[i]} more like it"] if alike[i] else []
        table.add_row(found[i]["strategy"], *cells, ", ".join([*marks.get(i, []), *more]))
    console.print(table)
    counts = summary(sweep, rows)
    shown = f", {len(chosen)} shown" if len(chosen) < len(found) else ""
    console.print(
        f"{counts['points']} points, {counts['rows']} rows: {counts['failed']} failed, {counts['feasible']} feasible, "
        f"{sum(alike) + len(found)} on the front{shown}",
        soft_wrap=True,
    )
    for reason, count in [*counts["reasons"].items()][:_REASONS]:
        console.print(Text(f"! {count} failed: {reason}", style="yellow"), soft_wrap=True)


def _knee(front: Sequence[Row], objectives: Sequence[ObjectiveSpec]) -> int:
    """The row nearest to the best of everything, each objective scaled to its range on the front."""
    values = losses(front, objectives)
    low, high = values.min(axis=0), values.max(axis=0)
    scaled = (values - low) / np.where(high > low, high - low, 1.0)
    return int(np.argmin((scaled**2).sum(axis=1)))


def _front(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["pareto"]]


def _by_first(rows: Sequence[Row], objectives: Sequence[ObjectiveSpec]) -> list[Row]:
    first = objectives[0]
    return sorted(rows, key=lambda row: row[first.figure], reverse=first.better == "higher")


def _distinct(rows: Sequence[Row], objectives: Sequence[ObjectiveSpec]) -> tuple[list[Row], list[int]]:
    """The first of those rows that are equal in all objectives, and how many more there are of each."""
    groups: dict[tuple[float, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[objective.figure] for objective in objectives), []).append(row)
    return [group[0] for group in groups.values()], [len(group) - 1 for group in groups.values()]


def _chosen(n: int, marks: Container[int]) -> list[int]:
    """Rows of a front to show: all of a short one, of a long one those with a mark and some from end to end."""
    spread = set(np.linspace(0, n - 1, _SHOWN).astype(int).tolist())
    return [i for i in range(n) if n <= _SHOWN or i in marks or i in spread]


def _marks(found: Sequence[Row], objectives: Sequence[ObjectiveSpec]) -> dict[int, list[str]]:
    """What is said of some rows of a front, by their number."""
    marks: dict[int, list[str]] = {}
    if not found:
        return marks
    for column, objective in zip(losses(found, objectives).T, objectives, strict=True):
        marks.setdefault(int(np.argmin(column)), []).append(f"best {objective.figure}")
    if len(objectives) > 1:
        marks.setdefault(_knee(found, objectives), []).append("knee")
    return marks
