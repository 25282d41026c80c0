"""The machine's condition at every sample: how fast one core read memory just before.

On a computer that others use as well, memory is slower by tens of percent for seconds or hours at a time. The tables
rest on all samples, as they came; the condition is kept beside them, so that a later run can tell drift from error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibrate.journal import Samples
from calibrate.sampling import Figure

_TAG = " | seconds a byte"


def tagged(name: str, seconds: Sequence[float], seconds_a_byte: Sequence[float]) -> Samples:
    """Samples with the condition that each of them was taken in."""
    return {name: list(seconds), name + _TAG: list(seconds_a_byte)}


def untagged(samples: Samples) -> Samples:
    """The samples without their conditions."""
    return {name: seconds for name, seconds in samples.items() if not name.endswith(_TAG)}


@dataclass(frozen=True)
class Condition:
    """How fast one core read memory during a calibration: median and IQR over median."""

    bytes_per_s: float
    spread: float

    def __str__(self) -> str:
        """One sentence for a person."""
        return f"one core read memory at {self.bytes_per_s * 1e-9:.1f} GB/s, IQR/median {self.spread:.0%}"


def condition_of(samples: Samples) -> Condition:
    """The condition over all samples of a calibration."""
    seen = np.concatenate([np.array(values) for name, values in samples.items() if name.endswith(_TAG)])
    figure = Figure.of(seen.tolist())
    return Condition(1 / figure.seconds, figure.spread)
