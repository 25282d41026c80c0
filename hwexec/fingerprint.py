"""Which computer and which libraries a measurement comes from."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_LIBRARIES = ("moesim", "torch", "numpy")
_CPU0 = Path("/sys/devices/system/cpu/cpu0/cache")
_TYPICAL_CACHE = 32 << 20


def cpu_name() -> str:
    """The processor's model name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cache_bytes() -> int:
    """Size of the last-level cache; 32 MiB where the system does not tell."""
    sizes = [path.read_text(encoding="utf-8").strip() for path in _CPU0.glob("index*/size")]
    units = {"K": 1 << 10, "M": 1 << 20}
    return max((int(size[:-1]) * units[size[-1]] for size in sizes if size[-1:] in units), default=_TYPICAL_CACHE)


def fingerprint() -> dict[str, str]:
    """CPU, memory, kernel, Python and library versions, and the date of this moment."""
    return {
        "cpu": cpu_name(),
        "cores": str(len(os.sched_getaffinity(0))),
        "last_level_cache_bytes": str(cache_bytes()),
        "memory_bytes": str(psutil.virtual_memory().total),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _LIBRARIES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
