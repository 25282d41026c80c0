"""Results: what a scenario gives back, and how it is kept as JSON and Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scenarios.cards import result_card, run_card
from sim.bounds import Bounds
from sim.cost import CostModel, Costs
from sim.errors import InputError
from sim.files import replacing, write_text
from sim.gap import Gap
from sim.intervals import Drawn, Range
from sim.machine import Machine
from sim.memory import Footprint
from sim.metrics import Summary
from sim.model import MoEModel
from sim.notebook import shown
from sim.schedule import Schedule
from sim.timeline import Timeline


@dataclass(frozen=True)
class RangesMade:
    """How the ranges of a run were made: they hold a share `level` of `draws` computers, under each seed in turn."""

    level: float
    draws: int
    trace_seeds: tuple[int, ...]
    planned_anew: bool  # for each draw, since the strategy asks the clock

    def __str__(self) -> str:
        seeds = f", under {len(self.trace_seeds)} seeds in turn" if len(self.trace_seeds) > 1 else ""
        return f"{100 * self.level:.0f} % of {self.draws} draws of what the machine's figures leave open{seeds}"


def ranges_made(runs: Sequence[RunResult]) -> RangesMade | None:
    """How the ranges of some runs were made, as for the one with most draws; None if there are none."""
    made = [run.ranges_made for run in runs if run.ranges_made is not None]
    return max(made, key=lambda each: each.draws, default=None)


@shown(run_card)
@dataclass(frozen=True)
class RunResult:
    """One strategy of a scenario: what it decided, when that happened, and what it needs.

    `knobs` are those that the scenario states; `cached` is the number of experts that the GPU keeps. A run that does
    not fit (`fits` is False) is hypothetical: its figures are a bracket, and `warnings` say what it lacks.
    `ranges`, by field of `summary`, may be empty; `drawn` are the draws behind them, in an order that all runs of a
    scenario share.
    """

    label: str
    strategy: str
    knobs: dict[str, Any]
    cached: int
    schedule: Schedule
    timeline: Timeline
    summary: Summary
    footprint: Footprint  # of the GPU
    host_footprint: Footprint
    fits: bool
    warnings: tuple[str, ...] = ()
    ranges: dict[str, Range] = field(default_factory=dict)
    drawn: Drawn = field(default_factory=dict)
    ranges_made: RangesMade | None = None
    knows_future: bool = False
    streamed: bool = False  # its ops were not kept: schedule and timeline have none
    stack: str | None = None  # software stack of the machine; None: its first
    limit: Bounds | None = None  # what no strategy with as many slots can beat
    gap: Gap | None = None  # what keeps it from that

    @property
    def of_limit(self) -> float | None:
        """Share of the physical limit that the run reaches: the shortest time possible over its own."""
        if self.limit is None or not self.summary.makespan_s:
            return None
        return self.limit.limit_s / self.summary.makespan_s

    @property
    def loaded_gb_per_token(self) -> float:
        """Expert and block weights that crossed to the GPU, in GB for each token put out."""
        return self.summary.loaded_gb_per_token

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the schedule and the timeline are files of their own."""
        return {
            "label": self.label,
            "strategy": self.strategy,
            "knobs": self.knobs,
            "cached_experts": self.cached,
            "fits": self.fits,
            "streamed": self.streamed,
            "warnings": list(self.warnings),
            "loaded_gb_per_token": self.loaded_gb_per_token,
            "summary": self.summary.to_dict(),
            "of_limit": self.of_limit,
            "limit": None if self.limit is None else self.limit.to_dict(),
            "gap": None if self.gap is None else asdict(self.gap),
            "ranges": {name: each._asdict() for name, each in self.ranges.items()},
            "ranges_made": None if self.ranges_made is None else asdict(self.ranges_made),
            "memory_bytes": {
                footprint.memory: footprint.items | {"total": footprint.total_bytes}
                for footprint in (self.footprint, self.host_footprint)
            },
        }


@shown(result_card)
@dataclass(frozen=True)
class ScenarioResult:
    """All strategies of one scenario, in its order; `scenario` is the file as it was resolved."""

    title: str
    model: MoEModel
    machine: Machine
    scenario: dict[str, Any]
    runs: tuple[RunResult, ...]

    def costs(self, run: RunResult) -> Costs:
        """What the ops of a run cost on the machine, under its stack."""
        return CostModel(self.machine, self.model, run.schedule.precisions, run.stack).of_schedule(run.schedule)

    def __getitem__(self, label: str) -> RunResult:
        """The run of one strategy, by its label; raises InputError if there is none such."""
        for run in self.runs:
            if run.label == label:
                return run
        labels = ", ".join(run.label for run in self.runs)
        raise InputError("no such strategy", field="label", value=label, remedy=f"choose one of {labels}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "title": self.title,
            "model": self.model.name,
            "machine": self.machine.name,
            "scenario": self.scenario,
            "runs": [run.to_dict() for run in self.runs],
        }

    def to_json(self) -> str:
        """The text of results.json; equal results give equal text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def write_json(self, path: str | Path) -> None:
        """Write results.json, atomically."""
        write_text(path, self.to_json() + "\n")

    def write_parquet(self, path: str | Path) -> None:
        """Write one row a strategy with the same values as results.json, nested names joined by a dot; atomically."""
        import pyarrow as pa
        from pyarrow import parquet

        of = {"title": self.title, "model": self.model.name, "machine": self.machine.name}
        rows = [of | row(run) for run in self.runs]
        with replacing(path) as draft:
            parquet.write_table(pa.Table.from_pylist(_same_keys(rows)), draft)


def row(run: RunResult) -> dict[str, Any]:
    """One strategy as a flat row."""
    data = run.to_dict()
    data["knobs"] = json.dumps(run.knobs, sort_keys=True)
    return dict(_flat(data))


def _flat(data: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    items: list[tuple[str, Any]] = []
    for name, value in data.items():
        items += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return items


def _same_keys(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that all have every key, in order of first appearance: strategies need not have the same lanes."""
    names = dict.fromkeys(name for each in rows for name in each)
    return [{name: each.get(name) for name in names} for each in rows]
