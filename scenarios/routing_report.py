"""How near synthetic routing comes to what it imitates: target, synthetic, difference."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from scenarios.routing_presets import list_routings, load_routing
from scenarios.table import new_table
from sim.synth.fit import TOLERANCES, Goal, synthetic_means

SEEDS = (100, 101, 102)
"""Of synthetic traces that are compared; fits use others."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """One statistic: what it should be, and what it is in synthetic traces."""

    statistic: str
    target: float
    synthetic: float

    @property
    def difference(self) -> float:
        """Synthetic less target."""
        return self.synthetic - self.target

    @property
    def misses(self) -> bool:
        """Whether the difference, in the three digits that are shown, is beyond the tolerance."""
        return abs(round(self.difference, 3)) > TOLERANCES[self.statistic]


def likeness(goal: Goal, synthetic: Mapping[str, float]) -> list[Likeness]:
    """Compare the statistics that have a tolerance and a target."""
    return [Likeness(name, goal.targets[name], synthetic[name]) for name in TOLERANCES if name in goal.targets]


def measure(names: Sequence[str], seeds: Sequence[int] = SEEDS) -> dict[str, dict[str, float]]:
    """Statistics of synthetic traces by preset: means over `seeds` and layers, of traces as the targets are of."""
    presets = {name: load_routing(name) for name in names}
    return {name: synthetic_means(each.goal, each.style, seeds) for name, each in presets.items()}


def likeness_table(title: str, rows: Sequence[Likeness]) -> Table:
    """Statistics side by side for the terminal; a miss is marked with an exclamation mark."""
    table = new_table(title)
    table.add_column("")
    for row in rows:
        table.add_column(row.statistic.replace("_", "\n"), justify="right")
    table.add_row("target", *(digits(row.target) for row in rows))
    table.add_row("synthetic", *(digits(row.synthetic) for row in rows))
    table.add_row("difference", *(f"{'!' if row.misses else ''}{row.difference:+.3f}" for row in rows))
    return table


def parts(measured: Path) -> dict[str, str]:
    """The tables of docs/traces.md, from what `moesim trace report --json` wrote."""
    found = json.loads(measured.read_text(encoding="utf-8"))
    blocks, every = [], []
    for name in list_routings():
        preset = load_routing(name)
        goal = preset.goal
        rows = likeness(goal, found[name])
        every += rows
        shape = f"{goal.n_layers} × {goal.n_experts}, top-{goal.top_k}; {sum(goal.sequences):,} tokens"
        blocks.append(f"**{name}** ({shape}). {preset.source[0].upper()}{preset.source[1:]}.\n\n{_markdown(rows)}")
    near = sum(not row.misses for row in every)
    return {"likeness": "\n\n".join(blocks), "score": f"{near} of {len(every)} statistics are within tolerance."}


def _markdown(rows: Sequence[Likeness]) -> str:
    lines = [
        ["", *(row.statistic.replace("_", " ") for row in rows)],
        ["---", *("--:" for _ in rows)],
        ["target", *(digits(row.target) for row in rows)],
        ["synthetic", *(digits(row.synthetic) for row in rows)],
        ["difference", *(f"**{row.difference:+.3f}**" if row.misses else f"{row.difference:+.3f}" for row in rows)],
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def digits(share: float) -> str:
    """Three digits."""
    return f"{share:.3f}"
