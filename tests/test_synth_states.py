from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.synth.states import Tasks, Wander


def positions(lengths: list[int]) -> NDArray[np.int64]:
    return np.concatenate([np.arange(length) for length in lengths])


@pytest.mark.parametrize("persistence", [0.0, 0.6, 0.99, 1.0])
def test_states_wander_like_the_recursion_and_start_afresh_with_each_sequence(persistence: float) -> None:
    position = positions([70, 1, 129])
    found = Wander(3, persistence).chunk(np.random.default_rng(4), position)
    drawn = np.random.default_rng(4).standard_normal((3, 200), dtype=np.float32)
    expected = drawn.astype(np.float64)
    for token in range(200):
        if position[token]:
            expected[:, token] = persistence * expected[:, token - 1] + np.sqrt(1 - persistence**2) * drawn[:, token]
    assert found == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("persistence", [0.6, 0.995])
def test_a_later_chunk_goes_on_where_the_one_before_ended(persistence: float) -> None:
    position = positions([90, 60, 50])
    whole = Wander(2, persistence)
    drawn = np.random.default_rng(4).standard_normal((2, 200), dtype=np.float32)

    class Replayed:
        """Gives the same draws to one chunk as to several."""

        start = 0

        def standard_normal(self, shape: tuple[int, int], dtype: type) -> NDArray[np.float32]:
            self.start += shape[1]
            return drawn[:, self.start - shape[1] : self.start].astype(dtype)

    one, several = Replayed(), Replayed()
    expected = whole.chunk(one, position)  # type: ignore[arg-type]
    parts = Wander(2, persistence)
    found = [parts.chunk(several, part) for part in np.split(position, [40, 41, 100, 170])]  # type: ignore[arg-type]
    assert np.concatenate(found, axis=1) == pytest.approx(expected, abs=2e-3)


def runs(tasks: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(task, how long) of consecutive tokens of one task."""
    edges = np.flatnonzero(np.diff(tasks, prepend=-1, append=-1))
    return [(int(tasks[start]), int(end - start)) for start, end in pairwise(edges)]


def test_without_a_dwell_a_task_lasts_as_long_as_its_sequence() -> None:
    tasks = Tasks(3, 0).chunk(np.random.default_rng(1), positions([5, 7, 2, 4]))
    assert runs(tasks) == [(0, 5), (1, 7), (2, 2), (0, 4)]


def test_tasks_take_turns_and_last_about_as_long_as_asked() -> None:
    rng = np.random.default_rng(1)
    process = Tasks(4, 20)
    tasks = np.concatenate([process.chunk(rng, part) for part in np.split(positions([8000]), 13 * np.arange(1, 60))])
    found = runs(tasks)
    assert [task for task, _ in found] == [i % 4 for i in range(len(found))]
    lengths = [length for _, length in found[:-1]]
    assert min(lengths) >= 10
    assert max(lengths) <= 30
    assert np.mean(lengths) == pytest.approx(20, abs=1)


def test_a_single_task_is_never_left() -> None:
    assert not Tasks(1, 5).chunk(np.random.default_rng(1), positions([50, 50])).any()
