"""The hardware that a campaign runs on: how it is calibrated, and the backend that executes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from calibrate.run import Models, calibrate
from hwexec.backend import Backend
from hwexec.backends import check_backend, make_backend
from sim.machine import Machine


class Hardware(ABC):
    """A computer to be measured."""

    @abstractmethod
    def calibrate(self, out: Path, budget_s: float, models: Models, progress: Callable[[str, float], None]) -> Machine:
        """Measure the machine into `out`, or go on where an interrupted measurement stopped."""

    @abstractmethod
    def backend(self) -> Backend:
        """What executes schedules; to be closed."""


class ThisComputer(Hardware):
    """This computer by a backend's name; raises InputError at once if it cannot be used."""

    def __init__(self, backend: str) -> None:
        check_backend(backend)
        self._backend = backend

    def calibrate(self, out: Path, budget_s: float, models: Models, progress: Callable[[str, float], None]) -> Machine:
        """As `moesim calibrate` does."""
        return calibrate(backend=self._backend, out=out, budget_s=budget_s, models=models, progress=progress)

    def backend(self) -> Backend:
        """As `moesim execute` does; a GPU's host memory is limited, for pinning much of it would take the time."""
        options = {"host_bytes": _HOST_BYTES} if self._backend == "cuda" else {}
        return make_backend(self._backend, **options)


_HOST_BYTES = 12 << 30
