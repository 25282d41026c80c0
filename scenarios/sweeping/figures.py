"""The figures of a sweep: what is read of each run, and which way is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from scenarios.fit import Fit
from sim.machine import Power
from sim.metrics import Summary

COMPUTE_LANES = {"gpu": "gpu0", "cpu": "cpu"}  # a device is busy while this lane of it is


@dataclass(frozen=True)
class Outcome:
    """One strategy at one point: its run in numbers, its memory, and what its machine draws and costs, if stated."""

    summary: Summary
    fit: Fit
    power: Mapping[Literal["gpu", "cpu"], Power]
    usd_per_hour: float | None


@dataclass(frozen=True)
class Figure:
    """What a figure means, how it is read (None: this run has none), and which of two values is better."""

    what: str
    read: Callable[[Outcome], float | None]
    better: Literal["higher", "lower"] | None = "lower"


def energy_j_per_token(of: Outcome) -> float | None:
    """Joules an output token: each device's watts when busy and when idle, times how long it is either.

    None if no device has a power figure. A device is busy while its compute lane works.
    """
    total_s, tokens = of.summary.makespan_s, of.summary.output_tokens
    if not of.power or not tokens:
        return None
    joules = 0.0
    for device, power in of.power.items():
        busy = of.summary.utilisation.get(COMPUTE_LANES[device], 0.0)
        joules += total_s * (busy * power.busy_w + (1 - busy) * power.idle_w)
    return joules / tokens


def usd_per_mtok(of: Outcome) -> float | None:
    """Dollars for a million output tokens at the machine's price an hour; None if none was stated."""
    if of.usd_per_hour is None or not of.summary.tokens_per_s:
        return None
    return of.usd_per_hour / 3600 / of.summary.tokens_per_s * 1e6


FIGURES: dict[str, Figure] = {
    "tokens_per_s": Figure("output tokens over the whole time", lambda of: of.summary.tokens_per_s, "higher"),
    "decode_tokens_per_s": Figure(
        "tokens over the time of decode", lambda of: of.summary.decode_tokens_per_s, "higher"
    ),
    "ttft_s": Figure("time to the first token, median", lambda of: of.summary.ttft_s),
    "tpot_p50_s": Figure("time of a decode step, median", lambda of: of.summary.tpot_p50_s),
    "tpot_p95_s": Figure("time of a decode step, 95th percentile", lambda of: of.summary.tpot_p95_s),
    "makespan_s": Figure("time of the whole run", lambda of: of.summary.makespan_s),
    "hit_rate": Figure("uses of experts that were on the GPU when routed", lambda of: of.summary.hit_rate, "higher"),
    "loaded_gb_per_token": Figure("weights that crossed to the GPU", lambda of: of.summary.loaded_gb_per_token),
    "gpu_gb": Figure("GPU memory in use", lambda of: of.fit.gpu.total_bytes / 1e9),
    "host_gb": Figure("host memory in use", lambda of: of.fit.host.total_bytes / 1e9),
    "energy_j_per_token": Figure("joules an output token, by the watts stated", energy_j_per_token),
    "usd_per_mtok": Figure("US dollars a million output tokens, by the prices stated", usd_per_mtok),
    "changed": Figure(
        "router's choices that ran on another expert",
        lambda of: of.summary.fidelity.changed if of.summary.fidelity else 0.0,
    ),
    "gate_lost": Figure(
        "gate weight of the choices that did not run",
        lambda of: of.summary.fidelity.mass_lost if of.summary.fidelity else 0.0,
    ),
    "cached": Figure("experts kept on the GPU", lambda of: of.fit.cached, None),
}
