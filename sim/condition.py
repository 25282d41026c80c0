"""Condition: whether a computer was as fast around a measured run as when it was calibrated."""

from __future__ import annotations

from sim.machine import Machine
from sim.timeline import Timeline

_KEY = "read_bytes_per_s"


def condition(timeline: Timeline, machine: Machine) -> float | None:
    """Speed of memory around a measured run over that in the machine file; None if either does not say.

    The mean of before and after counts. Far from 1 the computer has changed since, and an error of prediction says
    little about the prediction.
    """
    found = [timeline.meta.get(f"condition_{when}", {}).get(_KEY) for when in ("before", "after")]
    calibrated = machine.fingerprint.get(_KEY)
    if calibrated is None or None in found:
        return None
    return float(sum(found)) / len(found) / float(calibrated)
