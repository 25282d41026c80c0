"""A site: what a calibration on one backend consists of, and the machine that its samples make."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from calibrate.journal import Samples
from calibrate.units import Unit
from sim.machine import Machine
from sim.model import MoEModel
from sim.precision import Precisions

Models = Sequence[tuple[MoEModel, Precisions]]


class Site(ABC):
    """Made for some models, which it refuses if they cannot be measured; used as a context, in which it may allocate.

    `computer` is the fingerprint of what is measured.
    """

    backend: str
    computer: dict[str, str]

    def __init__(self, models: Models) -> None:
        self.models = models
        self.opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.opened.close()

    @abstractmethod
    def units(self, budget_s: float) -> list[Unit]:
        """All measurements, with their shares of the budget."""

    @abstractmethod
    def machine(self, samples: Samples) -> Machine:
        """What the samples say."""
