"""What people call the lanes of a schedule."""

from __future__ import annotations

import re

_SHORT = {"host": "Host", "cpu": "CPU", "worker": "Worker", "storage": "Disk"}
_LONG = {
    "host": "the host thread, which dispatches",
    "cpu": "the CPU",
    "worker": "the host's worker thread",
    "storage": "storage",
}


def short_name(lane: str) -> str:
    """For axes and table heads: GPU, H2D, D2H, CPU, Host."""
    match = re.fullmatch(r"gpu(\d+)(?:\.(h2d|d2h))?", lane)
    if match is None:
        return _SHORT.get(lane, lane)
    number = "" if match[1] == "0" else f" {match[1]}"
    return f"{(match[2] or 'gpu').upper()}{number}"


def long_name(lane: str) -> str:
    """For sentences: the GPU, the PCIe link."""
    match = re.fullmatch(r"gpu(\d+)(?:\.(h2d|d2h))?", lane)
    if match is None:
        return _LONG.get(lane, lane)
    number = "" if match[1] == "0" else f" {match[1]}"
    direction = {"h2d": "the PCIe link to the GPU", "d2h": "the PCIe link back from the GPU", None: "the GPU"}
    return f"{direction[match[2]]}{number}"
