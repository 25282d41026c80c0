"""What the NVIDIA driver tells of a GPU. Everything is read, nothing is set; what may not be read is left out."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep
from typing import Any, TypeVar

_Value = TypeVar("_Value")
_THROTTLES = {  # the bits of the driver's clock event reasons that mean: slower than it could be
    0x04: "power cap", 0x08: "hardware slowdown", 0x20: "software thermal", 0x40: "hardware thermal",
    0x80: "power brake",
}  # fmt: skip


class Nvml:
    """The driver's readings of one GPU, found by its UUID; of no GPU if the library, the right or the GPU is missing.

    `silent` says which of these it was, in words, or is empty.
    """

    def __init__(self, uuid: str) -> None:
        self._lib: Any = None
        self._handle: Any = None
        self.silent = ""
        try:
            import pynvml

            pynvml.nvmlInit()
        except Exception as error:
            self.silent = f"the driver's readings are not available: {error}"
            return
        self._lib = pynvml
        self._handle = self._find(uuid)
        if self._handle is None:
            self.silent = f"the driver shows no GPU {uuid}"

    def condition(self) -> dict[str, float]:
        """Clocks in MHz, power in W, degrees, throttle reasons (bits) and the link's present state."""
        lib, handle = self._lib, self._handle
        if handle is None:
            return {}
        readings: dict[str, Callable[[], float]] = {
            "sm_mhz": lambda: lib.nvmlDeviceGetClockInfo(handle, lib.NVML_CLOCK_SM),
            "memory_mhz": lambda: lib.nvmlDeviceGetClockInfo(handle, lib.NVML_CLOCK_MEM),
            "power_w": lambda: lib.nvmlDeviceGetPowerUsage(handle) / 1000,
            "temperature_c": lambda: lib.nvmlDeviceGetTemperature(handle, lib.NVML_TEMPERATURE_GPU),
            "throttle": lambda: lib.nvmlDeviceGetCurrentClocksEventReasons(handle),
            "pcie_generation": lambda: lib.nvmlDeviceGetCurrPcieLinkGeneration(handle),
            "pcie_width": lambda: lib.nvmlDeviceGetCurrPcieLinkWidth(handle),
        }
        found = {name: self._asked(reading) for name, reading in readings.items()}
        return {name: float(value) for name, value in found.items() if value is not None}

    def fingerprint(self) -> dict[str, str]:
        """Driver, limits and modes, as far as they may be read."""
        lib, handle = self._lib, self._handle
        if handle is None:
            return {"nvml": self.silent}
        readings: dict[str, Callable[[], object]] = {
            "driver": lambda: _text(lib.nvmlSystemGetDriverVersion()),
            "vbios": lambda: _text(lib.nvmlDeviceGetVbiosVersion(handle)),
            "pcie_max": lambda: (
                f"{lib.nvmlDeviceGetMaxPcieLinkGeneration(handle)}.0 ×{lib.nvmlDeviceGetMaxPcieLinkWidth(handle)}"
            ),
            "max_sm_mhz": lambda: lib.nvmlDeviceGetMaxClockInfo(handle, lib.NVML_CLOCK_SM),
            "max_memory_mhz": lambda: lib.nvmlDeviceGetMaxClockInfo(handle, lib.NVML_CLOCK_MEM),
            "power_limit_w": lambda: lib.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000,
            "persistence": lambda: bool(lib.nvmlDeviceGetPersistenceMode(handle)),
            "ecc": lambda: bool(lib.nvmlDeviceGetEccMode(handle)[0]),
            "mig": lambda: bool(lib.nvmlDeviceGetMigMode(handle)[0]),
        }
        found = {name: self._asked(reading) for name, reading in readings.items()}
        return {name: str(value) for name, value in found.items() if value is not None}

    def busy_percent(self) -> float:
        """How busy the GPU is with anybody's work: the least of a few readings, 0 if they are not to be had."""
        readings = []
        for _ in range(3):
            rates = self._asked(lambda: self._lib.nvmlDeviceGetUtilizationRates(self._handle))
            readings.append(0.0 if rates is None else float(rates.gpu))
            sleep(0.1 if readings[-1] else 0)
        return min(readings)

    def _find(self, uuid: str) -> Any:
        lib = self._lib
        for name in (f"GPU-{uuid}", uuid):
            handle = self._asked(lambda name=name: lib.nvmlDeviceGetHandleByUUID(name))  # type: ignore[misc]
            if handle is not None:
                return handle
        if self._asked(lib.nvmlDeviceGetCount) == 1:
            return self._asked(lambda: lib.nvmlDeviceGetHandleByIndex(0))
        return None

    def _asked(self, reading: Callable[[], _Value]) -> _Value | None:
        """A reading; None if it is not supported or not permitted."""
        if self._lib is None:
            return None
        try:
            return reading()
        except (self._lib.NVMLError, AttributeError):
            return None


def throttled(reasons: float) -> list[str]:
    """In words, why a GPU ran slower than it could; nothing for one that is idle or at its set clocks."""
    return [name for bit, name in _THROTTLES.items() if int(reasons) & bit]


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
