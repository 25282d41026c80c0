from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from hwexec.nvml import Nvml, throttled


class NVMLError(Exception):
    pass


def driver(**changes: Any) -> SimpleNamespace:
    """A pynvml that knows one GPU; what is set to an exception raises it."""

    def answering(value: Any) -> Any:
        def call(*_: Any) -> Any:
            if isinstance(value, Exception):
                raise value
            return value

        return call

    answers: dict[str, Any] = {
        "nvmlInit": None, "nvmlDeviceGetHandleByUUID": "gpu", "nvmlDeviceGetCount": 1,
        "nvmlDeviceGetHandleByIndex": "first",
        "nvmlDeviceGetClockInfo": 1980, "nvmlDeviceGetPowerUsage": 65_500, "nvmlDeviceGetTemperature": 40,
        "nvmlDeviceGetCurrentClocksEventReasons": 4, "nvmlDeviceGetCurrPcieLinkGeneration": 5,
        "nvmlDeviceGetCurrPcieLinkWidth": 16, "nvmlSystemGetDriverVersion": b"580.1", "nvmlDeviceGetVbiosVersion": "96",
        "nvmlDeviceGetMaxPcieLinkGeneration": 5, "nvmlDeviceGetMaxPcieLinkWidth": 16, "nvmlDeviceGetMaxClockInfo": 1980,
        "nvmlDeviceGetEnforcedPowerLimit": 700_000, "nvmlDeviceGetPersistenceMode": 1, "nvmlDeviceGetEccMode": [1, 1],
        "nvmlDeviceGetMigMode": [0, 0], "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=3),
    }  # fmt: skip
    constants = {"NVMLError": NVMLError, "NVML_CLOCK_SM": 1, "NVML_CLOCK_MEM": 2, "NVML_TEMPERATURE_GPU": 0}
    return SimpleNamespace(**constants, **{name: answering(value) for name, value in (answers | changes).items()})


def nvml(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Nvml:
    monkeypatch.setitem(sys.modules, "pynvml", driver(**changes))
    return Nvml("abc")


def test_readings_are_in_plain_units(monkeypatch: pytest.MonkeyPatch) -> None:
    found = nvml(monkeypatch)
    assert found.condition() == {
        "sm_mhz": 1980.0, "memory_mhz": 1980.0, "power_w": 65.5, "temperature_c": 40.0, "throttle": 4.0,
        "pcie_generation": 5.0, "pcie_width": 16.0,
    }  # fmt: skip
    told = found.fingerprint()
    assert (told["driver"], told["pcie_max"], told["power_limit_w"], told["mig"]) == (
        "580.1",
        "5.0 ×16",
        "700.0",
        "False",
    )
    assert found.busy_percent() == 3.0


def test_what_may_not_be_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = NVMLError("Insufficient Permissions")
    found = nvml(monkeypatch, nvmlDeviceGetPowerUsage=refused, nvmlDeviceGetUtilizationRates=refused)
    assert "power_w" not in found.condition()
    assert "sm_mhz" in found.condition()
    assert found.busy_percent() == 0.0


def test_no_library_and_no_gpu_leave_nothing_but_words(monkeypatch: pytest.MonkeyPatch) -> None:
    without = nvml(monkeypatch, nvmlInit=NVMLError("Driver Not Loaded"))
    assert without.condition() == {}
    assert without.fingerprint() == {"nvml": "the driver's readings are not available: Driver Not Loaded"}
    assert without.busy_percent() == 0.0
    unknown = NVMLError("Not Found")
    elsewhere = nvml(monkeypatch, nvmlDeviceGetHandleByUUID=unknown, nvmlDeviceGetCount=2)
    assert elsewhere.fingerprint() == {"nvml": "the driver shows no GPU abc"}
    only = nvml(monkeypatch, nvmlDeviceGetHandleByUUID=unknown)
    assert only.condition()


def test_throttling_in_words() -> None:
    assert throttled(0x44) == ["power cap", "hardware thermal"]
    assert throttled(0x1) == [], "idle is no throttling"
