"""The calibration of the host backend."""

from __future__ import annotations

from contextlib import closing

from calibrate.assemble import host_machine, usable_memory
from calibrate.bench import HostBench
from calibrate.journal import Samples
from calibrate.kernels import kernel_plan
from calibrate.links import LinkPlan
from calibrate.overheads import overhead_units
from calibrate.sharing import sharing_units
from calibrate.site import Models, Site
from calibrate.units import Unit
from hwexec.fingerprint import fingerprint
from hwexec.host import HostBackend
from sim.machine import Machine

SHARES = {"links": 0.15, "kernels": 0.55, "overheads": 0.1, "sharing": 0.2}  # of the time budget


class HostSite(Site):
    """Threads on cores as the GPU and its copy engines."""

    backend = "host"

    def __init__(self, models: Models) -> None:
        super().__init__(models)
        self._kernels = kernel_plan(models)
        self.computer, self._memory = fingerprint(), usable_memory()
        self._links = self.opened.enter_context(closing(LinkPlan(models)))
        self._bench = self.opened.enter_context(HostBench())

    def units(self, budget_s: float) -> list[Unit]:
        """Copies, kernels, overheads of software, lanes side by side."""
        model, precisions = self.models[0]
        backend = HostBackend()
        return [
            *self._links.units(self._bench, SHARES["links"] * budget_s),
            *self._kernels.units(self._bench, SHARES["kernels"] * budget_s),
            *overhead_units(backend, model, precisions, SHARES["overheads"] * budget_s),
            *sharing_units(backend, model, precisions, SHARES["sharing"] * budget_s),
        ]

    def machine(self, samples: Samples) -> Machine:
        """The machine file of the host backend."""
        return host_machine(
            samples, self._kernels, self._links, self.models[0], self._bench.cores, self.computer, self._memory
        )
