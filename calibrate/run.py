"""Measures this computer, within a time budget, into a machine file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwexec.backends import check_backend
from sim.errors import InputError
from sim.machine import Machine
from sim.model import MoEModel
from sim.precision import Precisions

if TYPE_CHECKING:
    from calibrate.site import Site


Models = Sequence[tuple[MoEModel, Precisions]]


def calibrate(
    *, backend: str = "host", out: Path, budget_s: float, models: Models,
    progress: Callable[[str, float], None],
) -> Machine:  # fmt: skip
    """Measure what schedules of these models need, write the machine file to `out` and return it.

    `progress(what, share done)` is called before each measurement. Raw samples go to a `.samples.jsonl` file beside
    `out`, line by line; if the run is interrupted, the next one with the same models on the same computer continues
    there. `out` appears only when all is measured. Sharing and overheads are measured with the first model.
    Raises InputError for a backend, model or precision that cannot be measured, DoesNotFit if memory is short.
    """
    if not models:
        raise InputError("nothing to measure", field="models", value=[], remedy="name at least one model")
    if budget_s <= 0:
        raise InputError("must be positive", field="budget", value=budget_s, remedy="give seconds, e.g. 120")
    check_backend(backend)
    from calibrate.session import measure

    return measure(_site(backend, models), out, budget_s, progress)


def _site(backend: str, models: Models) -> Site:
    """Imports torch, and so stands here."""
    if backend == "cuda":
        from calibrate.cuda_site import CudaSite
        from hwexec.cuda_device import TorchDevice

        return CudaSite(models, TorchDevice())
    from calibrate.host_site import HostSite

    return HostSite(models)
