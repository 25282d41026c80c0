from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scenarios.sweeping.pareto import front, undominated
from scenarios.sweeping.spec import ObjectiveSpec

SPEED = ObjectiveSpec(figure="tokens_per_s", better="higher")
MEMORY = ObjectiveSpec(figure="gpu_gb", better="lower")


@given(st.integers(1, 4).flatmap(lambda m: st.lists(st.tuples(*[st.integers(0, 4)] * m), min_size=1, max_size=40)))
def test_the_front_is_what_nothing_dominates(values: list[tuple[int, ...]]) -> None:
    def beats(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
        return all(x <= y for x, y in zip(a, b, strict=True)) and a != b

    expected = [not any(beats(other, row) for other in values) for row in values]
    assert undominated(np.array(values, float)).tolist() == expected


def row(speed: float | None, memory: float, feasible: bool = True) -> dict[str, Any]:
    return {"tokens_per_s": speed, "gpu_gb": memory, "feasible": feasible}


def test_only_feasible_rows_that_have_all_objectives_compete() -> None:
    rows = [row(9, 1, feasible=False), row(None, 1), row(5, 4), row(5, 4), row(5, 5), row(6, 8), row(1, 2)]
    assert front(rows, [SPEED, MEMORY]).tolist() == [False, False, True, True, False, True, True]
    assert front(rows, [SPEED]).tolist() == [False, False, False, False, False, True, False]
    assert front([], [SPEED]).tolist() == []
    assert front([row(1, 1, feasible=False)], [SPEED]).tolist() == [False]
