"""Fidelity to routing: what a strategy that runs other experts than the router chose loses by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.schedule import Phase
from sim.trace import ExpertIds

_COUNTS = ("decisions", "changed", "mass", "lost")


@dataclass(frozen=True)
class Fidelity:
    """Shares of the router's decisions, each a token's choice of one expert in one layer, that were not followed.

    `changed`: the chosen expert did not run on the token, but another or none. `mass_lost`: the same, weighted by the
    gate; None if the trace has no weights. Of the whole run and of its decode steps alone, and by MoE block.
    """

    changed: float
    mass_lost: float | None
    decode_changed: float | None
    decode_mass_lost: float | None
    changed_by_layer: tuple[float, ...]


class RoutingAccount:
    """Compares, layer by layer, what ran with what the router chose."""

    def __init__(self, n_layers: int) -> None:
        self._sums = {phase: np.zeros((len(_COUNTS), n_layers)) for phase in Phase}

    def add(
        self, phase: Phase, moe: int, routed: ExpertIds, weights: NDArray[np.float32] | None, ran: ExpertIds | None
    ) -> None:
        """Count the tokens of one layer: `routed` [token, k], `ran` [token, m] or None if that is the same."""
        chosen = routed != np.iinfo(routed.dtype).max
        missed = np.zeros_like(chosen) if ran is None else chosen & ~(routed[:, :, None] == ran[:, None, :]).any(axis=2)
        mass = np.full(routed.shape, np.nan) if weights is None else weights
        sums = (chosen.sum(), missed.sum(), mass[chosen].sum(dtype=float), mass[missed].sum(dtype=float))
        self._sums[phase][:, moe] += sums

    def to_meta(self) -> dict[str, Any]:
        """Plain values, to be kept with a Schedule."""
        return {
            phase.name.lower(): {
                name: [None if np.isnan(value) else value for value in row.tolist()]
                for name, row in zip(_COUNTS, sums, strict=True)
            }
            for phase, sums in self._sums.items()
        }


def fidelity(meta: dict[str, Any]) -> Fidelity | None:
    """What a Schedule's meta data say; None for a strategy that follows the router."""
    if "fidelity" not in meta:
        return None
    decode, prefill = (
        np.array([meta["fidelity"][phase][name] for name in _COUNTS], float) for phase in ("decode", "prefill")
    )
    both = decode + prefill
    changed, mass_lost = _shares(both.sum(axis=1))
    decode_changed, decode_mass_lost = _shares(decode.sum(axis=1))
    by_layer = both[1] / np.maximum(both[0], 1)
    return Fidelity(changed or 0.0, mass_lost, decode_changed, decode_mass_lost, tuple(by_layer.tolist()))


def _shares(sums: NDArray[np.float64]) -> tuple[float | None, float | None]:
    decisions, changed, mass, lost = sums.tolist()
    return (changed / decisions if decisions else None, lost / mass if mass > 0 else None)
