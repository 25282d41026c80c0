"""The compiled generator draws what NumPy's does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pytest.importorskip("numba")

from sim.planning.kernels.pcg64 import gumbel, seeded, uniform

words = st.integers(0, 2**32 - 1)


@example([0, 0, 0, 0])
@example([2**32 - 1] * 4)
@given(st.lists(words, min_size=4, max_size=4))
def test_draws_are_numpys(seeds: list[int]) -> None:
    ours, numpys = seeded(np.array(seeds, np.uint64)), np.random.default_rng(tuple(seeds))
    assert [uniform(ours) for _ in range(5)] == numpys.random(5).tolist()
    assert [gumbel(ours) for _ in range(5)] == numpys.gumbel(size=5).tolist()
