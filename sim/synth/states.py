"""The hidden states behind a synthetic trace: what a sequence is about, and what a token is, chunk by chunk."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Positions = NDArray[np.int64]

_NEGLIGIBLE = 1e-4


class Wander:
    """Standard normal states that start afresh with a sequence: an AR(1) process in `width` directions.

    Consecutive tokens of a sequence are correlated by `persistence`.
    """

    def __init__(self, width: int, persistence: float) -> None:
        self._persistence = persistence
        self._last = np.zeros((width, 1), np.float32)

    def chunk(self, rng: np.random.Generator, position: Positions) -> Floats:
        """States [direction, token] of the next tokens, which stand at `position` [token] of their sequences.

        Summed by doubling: after a pass, each state has gathered the innovations of twice as many tokens.
        """
        n_tokens = len(position)
        state = rng.standard_normal((len(self._last), n_tokens), dtype=np.float32)
        persistence = self._persistence
        if persistence == 0 or n_tokens == 0:
            return state
        state *= np.where(position > 0, np.float32(np.sqrt(1 - persistence**2)), np.float32(1))
        reach = 1
        while reach < n_tokens and persistence**reach > _NEGLIGIBLE:
            same_sequence = position[reach:] >= reach
            state[:, reach:] += state[:, :-reach] * (same_sequence * np.float32(persistence**reach))
            reach *= 2
        began_earlier = position > np.arange(n_tokens)
        fading = persistence ** np.arange(1, 1 + np.count_nonzero(began_earlier))
        state[:, began_earlier] += self._last * fading.astype(np.float32)
        self._last = state[:, -1:].copy()
        return state


class Tasks:
    """Which of several tasks a token belongs to: a new one with a sequence, and after about `dwell` tokens of one.

    Tasks take turns. Each lasts from a half to one and a half times `dwell`; with `dwell` 0, as long as its sequence.
    """

    def __init__(self, n_tasks: int, dwell: float) -> None:
        self._n_tasks, self._dwell = n_tasks, dwell
        self._task = -1
        self._left = 0.0

    def chunk(self, rng: np.random.Generator, position: Positions) -> NDArray[np.int64]:
        """Tasks [token] of the next tokens, which stand at `position` [token] of their sequences."""
        tasks = np.zeros(len(position), np.int64)
        if self._n_tasks == 1:
            return tasks
        starts = [*np.flatnonzero(position == 0).tolist(), len(position)]
        self._fill(rng, tasks[: starts[0]])
        for start, end in pairwise(starts):
            self._switch(rng)
            self._fill(rng, tasks[start:end])
        return tasks

    def _fill(self, rng: np.random.Generator, tasks: NDArray[np.int64]) -> None:
        """Fill tokens of one sequence."""
        start = 0
        while start < len(tasks):
            if self._left < 1:
                self._switch(rng)
            end = len(tasks) if self._left >= len(tasks) - start else start + int(self._left)
            tasks[start:end] = self._task
            self._left -= end - start
            start = end

    def _switch(self, rng: np.random.Generator) -> None:
        self._task = (self._task + 1) % self._n_tasks
        self._left = max(1.0, self._dwell * rng.uniform(0.5, 1.5)) if self._dwell else float("inf")
