"""Runs in windows: the same as whole ones, in memory that does not grow with their tokens."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import sim.cost
from sim.cost import CostModel
from sim.errors import InputError, ScheduleError
from sim.metrics import Summary, summarise
from sim.plan import plan_windows
from sim.predict import RecallPredictor
from sim.program import Program
from sim.schedule import COLUMNS, Schedule
from sim.strategies.registry import make_strategy
from sim.strategy import LayerPass, Strategy
from sim.stream import stream, time_windows
from sim.summary_account import SummaryAccount
from sim.window import TimedWindow
from sim.windowed_plan import WindowedPlan
from sim.workload import steps
from tests.machines import BF16, busy_machine, tiny_costs, tiny_machine, tiny_model
from tests.runs import SETTINGS, SOME_CASES, Case, Setting, name_of, planned, room_for, run
from tests.traces import random_trace

STREAMED = [case for case in SOME_CASES if case[0] != "oracle"]
EVERYWHERE = [case for case in STREAMED if case[0] in ("moe-infinity", "sida", "daop")] + STREAMED[-2:]


def in_windows(case: Case, setting: Setting, window_ops: int) -> tuple[WindowedPlan, CostModel]:
    """The plan of `tests.runs.planned`, in windows."""
    strategy, model = make_strategy(case[0], **dict(case[1])), setting.model
    costs = CostModel(busy_machine(), model, BF16)
    windows = plan_windows(
        strategy, model, BF16, setting.trace(), cached=room_for(strategy, setting), batch=setting.batch,
        popularity=np.arange(model.n_slots_total).reshape(model.n_moe_layers, model.n_experts) % 7,
        predictor=RecallPredictor(model.n_moe_layers, model.n_experts, recall=0.8, seed=5), costs=costs,
        window_ops=window_ops,
    )  # fmt: skip
    return windows, costs


def differences(found: Summary, expected: Summary) -> dict[str, Any]:
    """Fields that are not equal; shares of busy time may differ in the last bits."""
    mine, theirs = found.to_dict(), expected.to_dict()
    mine["utilisation"] = {
        lane: theirs["utilisation"].get(lane)
        if share == pytest.approx(theirs["utilisation"].get(lane), 1e-12)
        else share
        for lane, share in mine["utilisation"].items()
    }
    return {field: (mine[field], theirs[field]) for field in theirs if mine[field] != theirs[field]}


@pytest.mark.parametrize("setting", ["batch", "encoder and decoder, top-1"])
def test_a_streamed_run_sums_up_to_the_same(setting: str) -> None:
    cases = STREAMED if setting == "batch" else EVERYWHERE
    faults = {
        name_of(case): fault
        for case in cases
        if (fault := differences(stream(*in_windows(case, SETTINGS[setting], 40)), summarise(run(case, setting))))
    }
    assert not faults


def same(a: Schedule, b: Schedule) -> bool:
    equal = all(np.array_equal(getattr(a.ops, name), getattr(b.ops, name), equal_nan=True) for name in COLUMNS)
    return equal and replace(a, ops=b.ops) == b and np.array_equal(a.ops.deps.values, b.ops.deps.values)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(EVERYWHERE), st.integers(1, 400))
def test_windows_of_any_size_join_to_the_same_schedule(case: Case, window_ops: int) -> None:
    windows, _ = in_windows(case, SETTINGS["plain"], window_ops)
    assert same(windows.schedule(), planned(case, SETTINGS["plain"]))


def test_windows_are_of_whole_passes_and_number_ops_throughout() -> None:
    (case,) = [case for case in STREAMED if case[0] == "on-demand"][:1]
    windows = list(in_windows(case, SETTINGS["plain"], 1)[0])
    schedule = planned(case, SETTINGS["plain"])
    assert len(windows) == len(schedule.steps) + 1, "one a pass, and what comes after the last"
    first = 0
    for window in windows[:-1]:
        (step,) = window.steps
        assert step.first_op == first
        first += len(window.ops)
    assert first + len(windows[-1].ops) == len(schedule)


def test_timed_windows_hold_what_has_ended_with_its_steps() -> None:
    for case in EVERYWHERE:
        windows, costs = in_windows(case, SETTINGS["batch"], 30)
        pieces = list(time_windows(windows, windows.program.lanes, costs))
        whole = run(case, "batch")
        assert np.concatenate([piece.times.end_s for piece in pieces]).tolist() == whole.times.end_s.tolist()
        assert tuple(step for piece in pieces for step in piece.steps) == whole.schedule.steps
        first = 0
        for piece in pieces:
            first += len(piece.ops)
            assert len(piece.ops) == len(piece.times)
            assert all(step.first_op < first for step in piece.steps)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_the_account_does_not_care_where_windows_end(data: st.DataObject) -> None:
    timeline = run(data.draw(st.sampled_from(EVERYWHERE)), "batch")
    schedule = timeline.schedule
    cuts = sorted(data.draw(st.lists(st.integers(0, len(schedule)), max_size=6)))
    account = SummaryAccount(schedule.lanes)
    for begin, end in zip([0, *cuts], [*cuts, len(schedule)], strict=True):
        part = slice(begin, end)
        times = replace(timeline.times, **{name: column[part] for name, column in vars(timeline.times).items()})
        begun = tuple(step for step in schedule.steps if begin <= step.first_op < end)
        account.add(TimedWindow(schedule.ops[part], begun, times))
    assert not differences(account.summary(schedule.meta), summarise(timeline))


def test_a_step_that_has_no_head_is_refused() -> None:
    timeline = run(EVERYWHERE[0], "batch")
    ops, first, last = timeline.schedule.ops, *timeline.schedule.steps[1:3]
    part = slice(first.first_op, last.first_op)
    account = SummaryAccount(timeline.schedule.lanes)
    times = replace(timeline.times, **{name: column[part] for name, column in vars(timeline.times).items()})
    with pytest.raises(ScheduleError, match="step 0 has no head"):
        account.add(TimedWindow(ops[part], (first,), times))


def test_what_knows_the_whole_run_cannot_be_streamed() -> None:
    with pytest.raises(InputError, match=r"strategies.name: knows the whole run.*'oracle'.*leave it out"):
        in_windows(("oracle", ()), SETTINGS["plain"], 100)


class AsksLate(Strategy):
    """Turns to the clock in its third forward pass."""

    name = "asks-late"
    extra_slots = 4

    def __init__(self, *, asks_clock: bool) -> None:
        self.asks_clock = asks_clock

    def experts(self, p: Program, now: LayerPass, ready: int) -> list[int]:
        done = []
        for expert, tokens in now.tokens_of.items():
            p.load(now.layer, expert, after=[ready])
            done.append(p.expert(now.layer, expert, tokens, after=[ready]))
            p.drop(now.layer, expert)
        if now.step >= 2:
            p.software(p.now())
        return done


def asks_late(*, asks_clock: bool, window_ops: int | None) -> WindowedPlan:
    trace, strategy = random_trace([(2, 6)]), AsksLate(asks_clock=asks_clock)
    model = tiny_model(n_experts=6)
    return plan_windows(strategy, model, BF16, trace, cached=0, costs=tiny_costs(model), window_ops=window_ops)


def test_who_asks_late_says_so_and_then_hears_the_same() -> None:
    whole = asks_late(asks_clock=False, window_ops=None).schedule()
    assert np.unique(whole.ops.stated_s[whole.ops.stated_s > 0]).size > 5
    assert same(asks_late(asks_clock=True, window_ops=1).schedule(), whole)
    with pytest.raises(ScheduleError, match="has to set `asks_clock`"):
        asks_late(asks_clock=False, window_ops=1).schedule()


class Watched(np.ndarray[Any, Any]):
    """Expert ids that note which rows are read."""

    rows: list[NDArray[np.int64]]

    def __array_finalize__(self, parent: Any) -> None:
        self.rows = getattr(parent, "rows", [])

    def __getitem__(self, at: Any) -> Any:
        if self.ndim == 3:
            self.rows.append(np.asarray(at[0] if isinstance(at, tuple) else at))
        return np.asarray(self)[at]


@pytest.mark.parametrize("name", ["cache", "fiddler", "moe-infinity"])
def test_a_pass_reads_its_own_rows_of_the_trace_alone(name: str) -> None:
    trace = random_trace([(3, 5), (2, 9), (0, 4)])
    watched = trace.ids.view(Watched)
    model = tiny_model(n_experts=6)
    windows = plan_windows(
        make_strategy(name), model, BF16, replace(trace, ids=watched), cached=5, batch=2, costs=tiny_costs(model),
        window_ops=1,
    )  # fmt: skip
    for step, _ in zip(steps(trace, 2), windows, strict=False):
        assert {tuple(rows) for rows in watched.rows} == {tuple(step.token_rows)}
        watched.rows.clear()


def peak_bytes(case: Case, tokens: int) -> int:
    """The most that a streamed run over one long answer holds at once, beside its trace."""
    model = tiny_model()
    trace = random_trace([(2, tokens)], n_experts=4)
    strategy = make_strategy(case[0], **dict(case[1]))
    costs = CostModel(tiny_machine(), model, BF16)
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    try:
        windows = plan_windows(
            strategy, model, BF16, trace, cached=room_for(strategy, Setting(model, 1, 4)), costs=costs,
            predictor=RecallPredictor(2, 4, recall=0.8), window_ops=64,
        )  # fmt: skip
        stream(windows, costs, lambda tokens: gc.collect() and None)  # SimPy leaves garbage in circles
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def growth(monkeypatch: pytest.MonkeyPatch, case: Case, few: int, many: int) -> float:
    """Bytes a token by which a run of many tokens needs more than one of few; prices are forgotten soon."""
    monkeypatch.setattr(sim.cost, "_MOST_KNOWN", 64)
    peak_bytes(case, 30)  # imports
    smaller, larger = peak_bytes(case, few), peak_bytes(case, many)
    print(f"{name_of(case)}: {smaller:,} and {larger:,} bytes for {few} and {many} tokens")
    return (larger - smaller) / (many - few)


GROWING = [case for case in STREAMED if case[0] not in ("accelerate", "standard")]
SOON: list[Case] = [("cache", (("prefetch", True), ("policy", "lfu"))), ("moe-infinity", ())]
A_TOKEN = 60  # bytes: a step's time and what a list takes to grow; a whole run needs some thousand


@pytest.mark.parametrize(
    "case", [("cache", (("prefetch", True), ("policy", "lfu"))), ("moe-infinity", ())], ids=name_of
)
def test_memory_does_not_grow_with_the_tokens(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    assert growth(monkeypatch, case, 150, 700) < A_TOKEN


@pytest.mark.long
@pytest.mark.parametrize("case", GROWING, ids=name_of)
def test_nor_does_that_of_any_strategy(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    assert growth(monkeypatch, case, 500, 3000) < A_TOKEN
