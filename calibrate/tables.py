"""From raw samples to the tables of a machine file: curves with their spread, and how far to trust them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibrate.journal import Samples
from calibrate.links import DIRECTIONS, LinkPlan, link_point
from calibrate.points import Series
from calibrate.sampling import NOISY, Figure
from calibrate.sharing import COPY_PASSES
from sim.curve import read_curve
from sim.machine import Curve, Kernel, Link


def curve(points: Sequence[tuple[int, str]], samples: Samples) -> Curve:
    """A curve of medians over the (size, sample name) that were measured."""
    measured = [(x, Figure.of(samples[name])) for x, name in points if samples.get(name)]
    return Curve(
        x=tuple(float(x) for x, _ in measured),
        seconds=tuple(figure.seconds for _, figure in measured),
        spread=tuple(figure.spread for _, figure in measured),
    )


def kernel_table(series: Series, samples: Samples, source: str) -> Kernel:
    """The table of one series."""
    return Kernel(
        device=series.device,
        kind=series.kind.name.lower(),  # type: ignore[arg-type]  # the kinds of compute ops
        phase=series.phase,  # type: ignore[arg-type]
        shape=series.shape,
        precision=series.precision,
        context=series.context or None,
        curve=curve([(tokens, series.point(tokens)) for tokens in series.tokens], samples),
        source=source,
    )


def link_tables(plan: LinkPlan, samples: Samples, source: str) -> list[Link]:
    """A table a direction. On the host backend pinned and pageable memory are the same, and were measured once."""
    tables = []
    for direction in DIRECTIONS:
        table = curve([(size, link_point(direction, size)) for size in plan.sizes_of(direction)], samples)
        for memory in ("storage",) if direction == "read" else ("pinned", "pageable"):
            passes = 1.0 if direction == "read" else COPY_PASSES
            tables.append(
                Link(direction=direction, memory=memory, curve=table, traffic={"dram": passes}, source=source)  # type: ignore[arg-type]
            )
    return tables


@dataclass(frozen=True)
class Trust:
    """Absolute relative error of points left out and read off their neighbours; spread of the samples."""

    points: int
    median_error: float
    worst_error: float
    median_spread: float
    noisy_points: int

    def __str__(self) -> str:
        """One sentence for a person."""
        noise = f"; noisy: IQR/median above {NOISY:.0%} at {self.noisy_points} points" if self.noisy_points else ""
        return (
            f"leave-one-out over {self.points} points: median {self.median_error:.1%}, worst {self.worst_error:.1%}; "
            f"median IQR/median {self.median_spread:.1%}{noise}"
        )


def trust(curves: Sequence[Curve]) -> Trust:
    """Leave out every inner point of every curve in turn."""
    errors = [abs(read_curve(_without(c, i), c.x[i]).seconds / c.seconds[i] - 1)
              for c in curves for i in range(1, len(c.x) - 1)]  # fmt: skip
    spreads = [spread for c in curves for spread in c.spread]
    return Trust(
        points=len(errors),
        median_error=float(np.median(errors)) if errors else 0.0,
        worst_error=max(errors, default=0.0),
        median_spread=float(np.median(spreads)) if spreads else 0.0,
        noisy_points=sum(spread > NOISY for spread in spreads),
    )


def _without(c: Curve, i: int) -> Curve:
    return Curve(x=c.x[:i] + c.x[i + 1 :], seconds=c.seconds[:i] + c.seconds[i + 1 :])
