"""Heat maps of the experts: how popular each was, how long on the GPU and how often missed, as grids for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.report.packing import packed
from scenarios.report.palette import HEAT, heat
from scenarios.report.ranking import Entry
from sim.expert_use import ExpertUse, expert_use

_ALWAYS = 200  # stands for a residency of 1, so that a byte an expert is enough
_BUDGET = 250_000  # characters of all grids together; eight strategies with 58 × 256 experts take 160,000


def expert_maps(entries: Sequence[Entry]) -> dict[str, Any]:
    """Grids [MoE layer, expert], row after row and packed, and for each entry which of them are its own.

    Equal grids are stored once: all strategies that follow the router share their popularity. With very many
    strategies, the last ones are left out: None.
    """
    grids: dict[str, int] = {}
    found, left = [], _BUDGET
    for entry in entries:
        mine = _grids(expert_use(entry.run.timeline))
        left -= sum(len(text) for text in set(mine.values()) if text not in grids)
        found.append({name: grids.setdefault(text, len(grids)) for name, text in mine.items()} if left >= 0 else None)
    model = entries[0].run.schedule.model if entries else None
    return {
        "layers": list(model.moe_layers) if model else [],
        "n_experts": model.n_experts if model else 0,
        "always": _ALWAYS,
        "heat": {name: heat(name) for name in HEAT},
        "grids": list(grids),
        "runs": found,
    }


def _grids(of: ExpertUse) -> dict[str, str]:
    resident = np.floor(of.resident * _ALWAYS + 1e-6).astype(np.int64)  # full only if it never left
    grids = {"uses": of.uses, "tokens": of.tokens, "resident": resident, "loaded": of.loaded, "on_cpu": of.on_cpu}
    return {name: packed(grid.ravel(), _dtype(grid)) for name, grid in grids.items()}


def _dtype(grid: NDArray[np.int64]) -> str:
    """The smallest that holds all numbers."""
    return f"u{np.min_scalar_type(int(grid.max(initial=0))).itemsize}"
