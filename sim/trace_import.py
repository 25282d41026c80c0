"""Routing traces from other tools' files; `IMPORTERS` names the formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sim.import_esft import import_esft
from sim.import_npz import import_npz
from sim.import_nvmoe import import_nvmoe
from sim.import_vllm import import_vllm
from sim.route_csv import read_route_csv
from sim.trace import RoutingTrace


def import_bigmoe(path: str | Path) -> RoutingTrace:
    """Read the routing of a BigMoeOnEdge route CSV; `sim.route_csv.read_route_csv` gives its cache record too."""
    return read_route_csv(path).trace


IMPORTERS: dict[str, Callable[[str | Path], RoutingTrace]] = {
    "nvmoe": import_nvmoe,
    "bigmoe": import_bigmoe,
    "vllm": import_vllm,
    "esft": import_esft,
    "npz": import_npz,
}
"""Each reads a file, or for `esft` a folder; raises FormatError naming file, line and remedy."""
