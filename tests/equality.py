"""Equality of what holds arrays, field by field."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from sim.schedule import Schedule
from sim.timeline import Timeline


def same(a: Any, b: Any) -> bool:
    """Whether two arrays, or two dataclasses of arrays, agree in type and content (NaN equals NaN)."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b)


def differences(a: Schedule | Timeline, b: Schedule | Timeline) -> list[str]:
    """Names of the fields in which they differ."""
    return [f.name for f in fields(a) if not same(getattr(a, f.name), getattr(b, f.name))]
