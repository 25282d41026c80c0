"""The line along which two grids are level, the long way round: by bisection along the edges of squares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]
Point = tuple[float, float]
Piece = Sequence[Sequence[float]]


def random_pairs(n: int) -> list[tuple[Grid, Grid]]:
    """Pairs of grids of positive numbers; the second half has holes."""
    rng = np.random.default_rng(3)
    pairs = [(np.exp(rng.normal(0, 1, (5, 6))), np.exp(rng.normal(0, 1, (5, 6)))) for _ in range(n)]
    for first, _ in pairs[n // 2 :]:
        first[rng.random(first.shape) < 0.1] = np.nan
    return pairs


def crossed_edges(lead: Grid) -> set[Point]:
    """Where a field changes its sign on the edges of complete squares."""
    found = set()
    for corners in _squares(lead):
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
            start, end = lead[y0, x0], lead[y1, x1]
            if (start > 0) != (end > 0):
                low, high = 0.0, 1.0
                for _ in range(60):
                    middle = (low + high) / 2
                    same = (start + middle * (end - start) > 0) == (start > 0)
                    low, high = (middle, high) if same else (low, middle)
                found.add(rounded((x0 + low * (x1 - x0), y0 + low * (y1 - y0))))
    return found


def wrong_sides(lead: Grid, pieces: Sequence[Piece]) -> list[Piece]:
    """Pieces alone in their square that do not part its corners by who leads there."""
    found = []
    for corners in _squares(lead):
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        mine = [p for p in pieces if (np.mean(p, axis=0) > low).all() and (np.mean(p, axis=0) < high).all()]
        if len(mine) == 1:
            (x0, y0), (x1, y1) = mine[0]
            side = {(x, y): np.sign((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) for x, y in corners}
            ahead = {side[at] for at in corners if lead[at[1], at[0]] > 0}
            behind = {side[at] for at in corners if lead[at[1], at[0]] <= 0}
            if len(ahead) != 1 or ahead & behind or 0 in ahead | behind:
                found.append(mine[0])
    return found


def rounded(point: Sequence[float]) -> Point:
    """To six decimals, so that points can be compared as sets."""
    return round(point[0], 6), round(point[1], 6)


def _squares(lead: Grid) -> Iterator[list[tuple[int, int]]]:
    """Corners (x, y), in order, of the squares whose corners are all there."""
    for j, i in np.ndindex(lead.shape[0] - 1, lead.shape[1] - 1):
        if not np.isnan(lead[j : j + 2, i : i + 2]).any():
            yield [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
