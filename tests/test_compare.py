from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from sim.compare import compare, rank_agreement
from sim.errors import InputError
from sim.program import Program, default_lanes
from sim.schedule import Phase, Schedule
from sim.timeline import Timeline, Times
from tests.machines import BF16, tiny_model


def schedule() -> Schedule:
    p = Program(tiny_model(), BF16, default_lanes(), n_slots=2, start_slots=[(0, 0)])
    for phase in (Phase.PREFILL, Phase.DECODE):
        p.begin_step(phase, 0, sequences=1, tokens=1, context=1)
        p.attention(0)
        p.load(0, 1)
        p.expert(0, 1, 1)
        p.drop(0, 1)
        p.wait(p.head())
    return p.schedule()


def timeline(durations: list[float], source: str = "measured", cancelled: int | None = None) -> Timeline:
    """Ops of the schedule one after the other; waits take nothing of their own."""
    ends = np.cumsum(durations)
    gone = np.zeros(len(durations), np.bool_)
    if cancelled is not None:
        gone[cancelled] = True
    return Timeline(schedule(), Times(ends - durations, ends - durations, ends, gone), source)


#           attention load expert head wait
REAL = [1.0, 4.0, 2.0, 1.0, 0.0] * 2


def test_an_equal_timeline_has_no_error() -> None:
    found = compare(timeline(REAL), timeline(REAL))
    assert found.error == 0
    assert (found.steps.median, found.steps.p95) == (0, 0)
    assert all(row.error == row.median_error == 0 for row in found.kinds)
    assert found.repeat_spread is None
    assert found.bytes_equal
    assert found.hits_equal


def test_errors_end_to_end_per_step_and_per_kind_are_prediction_over_measurement() -> None:
    predicted = timeline([1.0, 4.0, 2.0, 1.0, 0.0, 1.0, 6.0, 1.0, 1.0, 0.0])
    found = compare(predicted, timeline(REAL))
    assert found.error == pytest.approx(17 / 16 - 1)
    assert found.prefill_steps.median == pytest.approx(0)
    assert found.decode_steps.median == found.decode_steps.p95 == pytest.approx(9 / 8 - 1)
    assert found.steps.median == pytest.approx((9 / 8 - 1) / 2)
    rows = {row.kind: row for row in found.kinds}
    assert found.kinds[0].kind == "load"
    assert (rows["load"].share, rows["load"].error) == pytest.approx((8 / 16, 10 / 8 - 1))
    assert rows["load"].median_error == pytest.approx(0.25)
    assert (rows["expert"].count, rows["expert"].error) == (2, pytest.approx(-0.25))
    assert rows["load"].lane == "gpu0.h2d"
    assert "wait" not in rows


def test_repeats_count_as_their_median_and_give_the_spread() -> None:
    runs = [timeline([d * factor for d in REAL]) for factor in (1.2, 1.0, 0.9)]
    found = compare(timeline(REAL), runs[0], runs[1:])
    assert found.error == pytest.approx(0)
    assert found.repeat_spread == pytest.approx(0.3)
    assert found.runs == 3
    assert found.kinds[0].median_error == pytest.approx(0)


def test_ops_cancelled_on_either_side_are_not_compared() -> None:
    found = compare(timeline(REAL, cancelled=1), timeline(REAL, cancelled=6))
    assert {row.kind for row in found.kinds} == {"attention", "expert", "head"}


def test_other_bytes_or_hits_are_told() -> None:
    other = schedule()
    sizes = other.ops.size_bytes.copy()
    sizes[1] += 1
    bigger = replace(timeline(REAL), schedule=replace(other, ops=replace(other.ops, size_bytes=sizes)))
    found = compare(timeline(REAL), bigger)
    assert not found.bytes_equal
    assert found.hits_equal


def test_timelines_of_different_schedules_are_refused() -> None:
    short = timeline(REAL)
    times = Times(*(column[:-1] for column in vars(short.times).values()))
    with pytest.raises(InputError, match=r"of different schedules.*10 ops"):
        compare(timeline(REAL), replace(short, times=times))


def test_a_comparison_is_plain_json() -> None:
    found = compare(timeline(REAL), timeline(REAL), [timeline(REAL)])
    assert json.loads(json.dumps(found.to_dict()))["kinds"][0]["kind"] == "load"


VALUES = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2)


@given(VALUES)
def test_tau_equals_scipys(values: dict[str, tuple[int, int]]) -> None:
    left, right = ({name: float(pair[i]) for name, pair in values.items()} for i in (0, 1))
    found = rank_agreement(left, right)
    if len(set(left.values())) == 1 or len(set(right.values())) == 1:
        assert found.tau is None
    else:
        names = list(values)
        assert found.tau == pytest.approx(kendalltau([left[n] for n in names], [right[n] for n in names]).statistic)


def test_tau_is_one_for_the_same_order_and_minus_one_for_the_reverse() -> None:
    ranks = {"a": 1.0, "b": 2.0, "c": 3.0}
    assert rank_agreement(ranks, ranks).tau == pytest.approx(1)
    assert rank_agreement(ranks, {name: -value for name, value in ranks.items()}).tau == pytest.approx(-1)
    taus = [rank_agreement(ranks, dict(zip("abc", p, strict=True))).tau for p in permutations((1.0, 2.0, 3.0))]
    assert sorted(taus, key=lambda t: t or 0) == pytest.approx([-1, -1 / 3, -1 / 3, 1 / 3, 1 / 3, 1])


def test_only_pairs_whose_gap_exceeds_the_spread_are_clear() -> None:
    predicted = {"a": 1.0, "b": 2.0, "c": 3.0}
    measured = {"a": 1.05, "b": 1.0, "c": 2.0}
    assert (rank_agreement(predicted, measured).clear_pairs, rank_agreement(predicted, measured).right_pairs) == (3, 2)
    found = rank_agreement(predicted, measured, spread=0.1)
    assert (found.clear_pairs, found.right_pairs) == (2, 2)
    found = rank_agreement(predicted, measured, spread={"a": 0.0, "b": 0.1, "c": 2.0})
    assert (found.clear_pairs, found.right_pairs) == (0, 0)


def test_rankings_of_different_things_are_refused() -> None:
    with pytest.raises(InputError, match=r"same things.*'b'"):
        rank_agreement({"a": 1.0}, {"b": 1.0})
