"""Routing traces from other tools' files; `IMPORTERS` names the formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sim.importers.esft import import_esft
from sim.importers.npz import import_npz
from sim.importers.nvmoe import import_nvmoe
from sim.importers.route_csv import read_route_csv
from sim.importers.vllm import import_vllm
from sim.trace import RoutingTrace


def import_bigmoe(path: str | Path) -> RoutingTrace:
    """Read the routing of a BigMoeOnEdge route CSV; `read_route_csv` gives its cache record too."""
    return read_route_csv(path).trace


IMPORTERS: dict[str, Callable[[str | Path], RoutingTrace]] = {
    "nvmoe": import_nvmoe,
    "bigmoe": import_bigmoe,
    "vllm": import_vllm,
    "esft": import_esft,
    "npz": import_npz,
}
"""Each reads a file, or for `esft` a folder; raises FormatError naming file, line and remedy."""
