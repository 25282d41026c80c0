"""Columns of whole numbers as short text for the page's scripts: `assets/packing.js` unpacks them."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]
_DELTAS = "d"


def packed(column: Integers, dtype: str, *, deltas: bool = False) -> str:
    """A column as `dtype` (u1, i2, u4, …), or the differences of its neighbours where these are smaller.

    The bytes of all numbers are kept place by place, lowest first, which is what makes them compress, then deflated.
    Raises OverflowError if a number does not fit.
    """
    values = column.astype(f"<{dtype}")
    if not np.array_equal(values, column):
        raise OverflowError(f"numbers from {column.min()} to {column.max()} do not fit into {dtype}")
    if deltas and len(values):
        values[1:] = values[1:] - values[:-1]  # wraps, and so does the sum
    places = values.view(np.uint8).reshape(-1, values.itemsize).T
    deflated = zlib.compress(places.tobytes(), 6)
    return f"{_DELTAS if deltas else ''}{dtype}:{b64encode(deflated).decode('ascii')}"


def unpacked(text: str) -> Integers:
    """What `packed` was given."""
    head, body = text.split(":")
    dtype = np.dtype(f"<{head.removeprefix(_DELTAS)}")
    places = np.frombuffer(zlib.decompress(b64decode(body)), np.uint8).reshape(dtype.itemsize, -1)
    values: Integers = np.ascontiguousarray(places.T).view(dtype).ravel()
    return np.cumsum(values, dtype=dtype) if head.startswith(_DELTAS) else values
