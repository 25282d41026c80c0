"""The one call of the CUDA driver that torch does not offer: a stream that waits for a word of host memory."""

from __future__ import annotations

import ctypes
from typing import Any

_GREATER_OR_EQUAL = 0  # CU_STREAM_WAIT_VALUE_GEQ


class Driver:
    """`cuStreamWaitValue32` of libcuda; `found` tells whether this driver has it (CUDA 11.7 and later)."""

    def __init__(self) -> None:
        self._wait: Any = None
        try:
            library = ctypes.CDLL("libcuda.so.1")
            self._wait = library.cuStreamWaitValue32_v2
        except (OSError, AttributeError):
            return
        self._wait.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint]
        self._wait.restype = ctypes.c_int

    @property
    def found(self) -> bool:
        """Whether there is such a call."""
        return self._wait is not None

    def wait_value(self, stream: int, address: int, value: int) -> None:
        """Hold the stream until the word at a device address is at least `value`; raises RuntimeError if refused."""
        code = self._wait(stream, address, value, _GREATER_OR_EQUAL)
        if code != 0:
            raise RuntimeError(f"cuStreamWaitValue32 failed with CUDA error {code}")
