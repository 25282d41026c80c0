"""The points of a sweep: which choices on the axes each of them makes, and which of them are evaluated together."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from scenarios.sweeping.axes import Axis, Choice

Choices = tuple[Choice, ...]  # one for each axis
_PLAN = 20  # what a plan costs, in re-timings: about what it takes
_CHUNK = 120  # re-timings that are lost at most with a worker


@dataclass(frozen=True)
class Chunk:
    """Points that a worker evaluates in one go, by number, with their choices."""

    points: tuple[int, ...]
    choices: tuple[Choices, ...]

    def without(self, done: Container[int]) -> Chunk:
        """Those points that are not done yet."""
        left = [i for i, point in enumerate(self.points) if point not in done]
        return Chunk(tuple(self.points[i] for i in left), tuple(self.choices[i] for i in left))

    def singles(self) -> list[Chunk]:
        """Each point by itself."""
        return [Chunk((p,), (c,)) for p, c in zip(self.points, self.choices, strict=True)]


class Grid(Sequence[Choices]):
    """Every combination of the values; the last axis changes fastest."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self._sizes = [len(axis.values) for axis in axes]

    def __len__(self) -> int:
        return math.prod(self._sizes)

    @overload
    def __getitem__(self, point: int) -> Choices: ...
    @overload
    def __getitem__(self, point: slice) -> list[Choices]: ...
    def __getitem__(self, point: int | slice) -> Choices | list[Choices]:
        if isinstance(point, slice):
            return [self[i] for i in range(*point.indices(len(self)))]
        if not 0 <= point < len(self):
            raise IndexError(point)
        choices: list[Choice] = []
        for size in reversed(self._sizes):
            point, choice = divmod(point, size)
            choices.append(choice)
        return tuple(reversed(choices))


def drawn(axes: Sequence[Axis], n: int, seed: int) -> list[Choices]:
    """Up to `n` different points at random, independent on every axis; fewer if there are no more."""
    rng = np.random.default_rng(seed)
    most = math.prod(len(axis.values) for axis in axes)  # 0: without limit
    if most and 2 * n > most:  # so many that drawing would mostly repeat
        grid = Grid(axes)
        return [grid[int(i)] for i in rng.permutation(most)[:n]]
    found: dict[Choices, None] = {}
    while len(found) < n:
        found[tuple(axis.draw(rng) for axis in axes)] = None
    return list(found)


def changes(axes: Sequence[Axis], choices: Choices) -> dict[str, Any]:
    """The fields that a point sets, a whole before its parts."""
    pairs = ((axis.path, axis.value(choice)) for axis, choice in zip(axes, choices, strict=True))
    return dict(sorted(pairs, key=lambda pair: pair[0].count(".")))


def plans(axes: Sequence[Axis], points: Sequence[Choices], first: int = 0) -> dict[Choices, list[int]]:
    """Points that differ at most in the machine, by what they have in common; numbered from `first`.

    Those that share routing, then predictions, come one after the other.
    """
    order = sorted((i for i, axis in enumerate(axes) if axis.rank < 3), key=lambda i: axes[i].rank)
    groups: dict[Choices, list[int]] = {}
    for number, choices in enumerate(points, first):
        groups.setdefault(tuple(choices[i] for i in order), []).append(number)
    return dict(sorted(groups.items()))


def chunks(axes: Sequence[Axis], points: Sequence[Choices], first: int = 0, n_strategies: int = 1) -> Iterator[Chunk]:
    """Cut points into chunks of about equal work, those that share a plan together; numbered from `first`."""
    chunk: list[int] = []
    weight = 0
    for group in plans(axes, points, first).values():
        most = max(1, _CHUNK // n_strategies - _PLAN)
        for part in (group[i : i + most] for i in range(0, len(group), most)):
            more = n_strategies * (_PLAN + len(part))
            if chunk and weight + more > _CHUNK:
                yield _chunk(chunk, points, first)
                chunk, weight = [], 0
            chunk += part
            weight += more
    if chunk:
        yield _chunk(chunk, points, first)


def _chunk(numbers: Iterable[int], points: Sequence[Choices], first: int) -> Chunk:
    kept = tuple(numbers)
    return Chunk(kept, tuple(points[number - first] for number in kept))
