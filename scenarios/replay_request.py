"""What a user asks `moesim replay` for: the trace, the policies and the capacities, or one line on what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.traces import ARROW, FORMATS, find_trace, load_trace
from sim.cache import ONLINE
from sim.errors import InputError
from sim.importers import IMPORTERS
from sim.importers.route_csv import read_route_csv
from sim.replay import REFERENCES
from sim.trace import RoutingTrace

CURVE_PERCENTS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90)
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_CAPACITY_REMEDY = "give a percentage (25%), a number of experts (64), bytes (4000MiB) or curve"


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """A trace, and the bytes of one expert of each layer if its file says them."""

    trace: RoutingTrace
    layer_bytes: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Capacities:
    """Capacities of one cache, ascending and each once, in experts or bytes."""

    sizes: tuple[int, ...]
    in_bytes: bool = False


def load_source(path: Path, file_format: str | None = None) -> Source:
    """Read a trace of any format, known by its ending unless it is named; raises InputError."""
    name = file_format or FORMATS.get(find_trace(path).suffix.lower())
    formats = ", ".join([ARROW, *IMPORTERS])
    if name is None:
        raise InputError("its ending does not say what it is", file=path, remedy=f"add --format ({formats})")
    if name == ARROW:
        return Source(load_trace(path))
    if name == "bigmoe":
        record = read_route_csv(path)
        return Source(record.trace, record.expert_bytes)
    if name not in IMPORTERS:
        raise InputError("unknown trace format", field="--format", value=name, remedy=f"use {formats}")
    return Source(IMPORTERS[name](path))


def parse_policies(names: Sequence[str]) -> list[str]:
    """Policies in the order asked for; `all` is every one that knows the past alone. Raises InputError."""
    for name in names:
        if name not in (*ONLINE, *REFERENCES, "all"):
            known = ", ".join([*ONLINE, "all"])
            raise InputError("unknown eviction policy", field="--policy", value=name, remedy=f"use {known}")
    return list(dict.fromkeys(policy for name in names for policy in (ONLINE if name == "all" else [name])))


def parse_capacities(texts: Sequence[str], cache_experts: int, layer_bytes: NDArray[np.int64] | None) -> Capacities:
    """Capacities of a cache for `cache_experts`; bytes become experts where all are of one size. Raises InputError."""
    sizes: list[int] = []
    bytes_each: list[int] = []
    for text in texts:
        amount = _parse_bytes(text)
        (sizes if amount is None else bytes_each).extend(
            _parse_experts(text, cache_experts) if amount is None else [amount]
        )
    if not bytes_each:
        return Capacities(tuple(sorted(set(sizes))))
    if layer_bytes is None:
        remedy = "give a percentage or a number of experts"
        raise InputError("the trace does not say how big an expert is", field="--capacity", value=texts, remedy=remedy)
    if sizes:
        raise InputError("bytes and experts are mixed", field="--capacity", value=texts, remedy="give one or the other")
    if len(set(layer_bytes.tolist())) == 1:
        return Capacities(tuple(sorted({amount // int(layer_bytes[0]) for amount in bytes_each})))
    return Capacities(tuple(sorted(set(bytes_each))), in_bytes=True)


def _parse_experts(text: str, cache_experts: int) -> list[int]:
    if text == "curve":
        return [_experts(percent, cache_experts) for percent in CURVE_PERCENTS]
    try:
        share = text.endswith("%")
        value = float(text[:-1]) if share else int(text)
    except ValueError:
        value = math.nan
    most = 100 if share else cache_experts
    if not 0 < value <= most:
        what = (
            "must be above 0 and at most 100 %" if share else f"must be from 1 to the {cache_experts} experts there are"
        )
        raise InputError(what, field="--capacity", value=text, remedy=_CAPACITY_REMEDY)
    return [_experts(value, cache_experts) if share else int(value)]


def _experts(percent: float, cache_experts: int) -> int:
    return max(1, round(cache_experts * percent / 100))


def _parse_bytes(text: str) -> int | None:
    """Bytes of `4000MiB`; None if it is no such thing."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) *([KMG]i?B)", text, re.IGNORECASE)
    return None if found is None else int(float(found[1]) * _UNITS[found[2].upper()])
