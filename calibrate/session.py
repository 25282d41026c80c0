"""One calibration from start to end: runs the units that are left, assembles the machine."""

from __future__ import annotations

from pathlib import Path

from calibrate.journal import Journal
from calibrate.site import Site
from calibrate.units import Progress, run_units
from sim.machine import Machine
from sim.precision import Precisions


def measure(site: Site, out: Path, budget_s: float, progress: Progress) -> Machine:
    """Measure everything, or what an interrupted run left, with the journal beside `out`; write `out` at the end."""
    with site, Journal(journal_path(out), _identity(site)) as journal:
        run_units(site.units(budget_s), journal, budget_s, progress)
        machine = site.machine(journal.samples)
        machine.save(out)
        journal.finish()
    return machine


def journal_path(out: Path) -> Path:
    """Where the raw samples of a machine file are kept."""
    return out.with_suffix(".samples.jsonl")


def _identity(site: Site) -> dict[str, object]:
    """What two runs must agree on for one to continue the other."""
    return {
        "backend": site.backend,
        "computer": {name: value for name, value in site.computer.items() if name != "date"},
        "models": [[model.to_dict(), _plain(precisions)] for model, precisions in site.models],
    }


def _plain(precisions: Precisions) -> list[str]:
    """The precisions as plain values."""
    return [precisions.experts, precisions.rest, precisions.kv]
