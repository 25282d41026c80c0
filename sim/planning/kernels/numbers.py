"""Numbers that kernels hand on to each other."""

from __future__ import annotations

import numpy as np


def number(value: int) -> int:
    """An integer of which Numba sees the type alone; it compiles a function anew for each plain one it is given."""
    return np.int64(value)  # type: ignore[return-value]
