"""One calibration from start to end: plans the units, runs those that are left, assembles the machine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from calibrate.assemble import host_machine, usable_memory
from calibrate.bench import Bench
from calibrate.journal import Journal
from calibrate.kernels import KernelPlan, kernel_plan
from calibrate.links import LinkPlan
from calibrate.overheads import overhead_units
from calibrate.sharing import sharing_units
from calibrate.units import Progress, Unit, run_units
from hwexec.fingerprint import fingerprint
from hwexec.host import HostBackend
from sim.machine import Machine
from sim.model import MoEModel
from sim.precision import Precisions

SHARES = {"links": 0.15, "kernels": 0.55, "overheads": 0.1, "sharing": 0.2}  # of the time budget
Models = Sequence[tuple[MoEModel, Precisions]]


def measure(out: Path, budget_s: float, models: Models, progress: Progress) -> Machine:
    """Measure everything, or what an interrupted run left, with the journal beside `out`; write `out` at the end."""
    kernels = kernel_plan(models)
    computer, memory = fingerprint(), usable_memory()
    with (
        Bench() as bench,
        closing(LinkPlan(models)) as links,
        Journal(journal_path(out), _identity(computer, models)) as journal,
    ):
        run_units(_units(bench, links, kernels, models, budget_s), journal, budget_s, progress)
        machine = host_machine(journal.samples, kernels, links, models[0], bench.cores, computer, memory)
        machine.save(out)
        journal.finish()
    return machine


def journal_path(out: Path) -> Path:
    """Where the raw samples of a machine file are kept."""
    return out.with_suffix(".samples.jsonl")


def _units(bench: Bench, links: LinkPlan, kernels: KernelPlan, models: Models, budget_s: float) -> list[Unit]:
    model, precisions = models[0]
    backend = HostBackend()
    return [
        *links.units(bench, SHARES["links"] * budget_s),
        *kernels.units(bench, SHARES["kernels"] * budget_s),
        *overhead_units(backend, model, precisions, SHARES["overheads"] * budget_s),
        *sharing_units(backend, model, precisions, SHARES["sharing"] * budget_s),
    ]


def _identity(computer: dict[str, str], models: Models) -> dict[str, object]:
    """What two runs must agree on for one to continue the other."""
    return {
        "backend": "host",
        "computer": {name: value for name, value in computer.items() if name != "date"},
        "models": [[model.to_dict(), _plain(precisions)] for model, precisions in models],
    }


def _plain(precisions: Precisions) -> list[str]:
    """The precisions as plain values."""
    return [precisions.experts, precisions.rest, precisions.kv]
