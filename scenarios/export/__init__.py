"""Exports of a Timeline, simulated or measured, for other tools: traces for Perfetto, and tables of its ops."""

from __future__ import annotations

from pathlib import Path

from scenarios.export.ops_table import ops_table, write_csv, write_parquet
from scenarios.export.perfetto import write_perfetto
from scenarios.export_formats import Format
from sim.cost import Costs
from sim.timeline import Timeline

__all__ = ["Format", "export", "ops_table", "write_csv", "write_parquet", "write_perfetto"]


def export(
    path: str | Path, timeline: Timeline, as_: Format, costs: Costs | None = None, *, title: str | None = None
) -> None:
    """Write a timeline as one file, atomically; a trace calls it `title`. Raises InputError if that cannot be done."""
    match as_:
        case Format.PERFETTO:
            write_perfetto(path, timeline, costs, title=title)
        case Format.CSV:
            write_csv(path, timeline, costs)
        case Format.PARQUET:
            write_parquet(path, timeline, costs)
