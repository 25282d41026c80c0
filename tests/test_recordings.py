"""Recordings: what is kept of executed schedules, predicted anew; and those that are committed."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.recordings import baseline, store
from scenarios.recordings.deadline import Deadline
from scenarios.recordings.folder import MACHINE, check_folder_of, committed
from scenarios.recordings.predict import predict_all, predicted
from scenarios.recordings.store import Recording, add_recording, names_in, recordings_in
from scenarios.recordings.times import TICK_S, load_times, save_times
from sim.cost import costs_of
from sim.engine import simulate
from sim.errors import FormatError, InputError
from sim.schedule import Schedule
from sim.strategies.registry import make_strategy
from sim.timeline import Timeline, Times
from tests.hand_work import plan_tiny
from tests.listing import trace_of
from tests.machines import tiny_machine

COMMITTED = Path(__file__).parent.parent / "docs" / "data" / "recordings"


def schedule_of(name: str = "on-demand") -> Schedule:
    return plan_tiny(make_strategy(name), trace_of([[0, 2], [3, 1]], [[0, 1], [2, 3]]), 2)


def run_of(schedule: Schedule, factor: float) -> Timeline:
    """Hardware that takes so many times as long as predicted."""
    times = simulate(schedule, costs_of(schedule, tiny_machine())).times
    columns = (times.dispatched_s * factor, times.start_s * factor, times.end_s * factor, times.cancelled)
    speed = {"read_bytes_per_s": 1e10}
    meta = {"fingerprint": {"cpu": "toy"}, "condition_before": speed, "condition_after": speed, "backend": "toy"}
    return Timeline(schedule, Times(*columns), "measured", meta)


def recorded(label: str, *factors: float) -> Recording:
    schedule = schedule_of()
    return Recording.of("half", label, [run_of(schedule, factor) for factor in factors])


def folder_of(path: Path, *recordings: Recording) -> Path:
    path.mkdir(exist_ok=True)
    tiny_machine().save(path / MACHINE)
    for recording in recordings:
        add_recording(path / store.FILE, recording)
    return path


def test_no_committed_recording_is_predicted_worse_than_when_it_was_accepted() -> None:
    """So far nobody has committed any."""
    worse: list[str] = []
    for folder in committed(COMMITTED):
        checked = check_folder_of(folder)
        worse += [f"{folder.name}: {row}" for row in checked.worse]
        assert set(baseline.errors_of(checked.validation)) == set(baseline.load_baseline(folder / baseline.FILE))
    assert not worse, "\n".join(worse)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1), st.floats(0, 20)), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_times_are_kept_to_the_tick(tmp_path_factory: pytest.TempPathFactory, gaps: list[tuple[float, ...]]) -> None:
    dispatched = np.cumsum([gap for gap, _, _ in gaps])
    start = dispatched + [delay for _, delay, _ in gaps]
    end = start + [length for _, _, length in gaps]
    path = tmp_path_factory.mktemp("times") / "t.arrow"
    cancelled = np.arange(len(gaps)) % 3 == 0
    save_times(path, Times(dispatched, start, end, cancelled))
    loaded = load_times(path)
    for mine, theirs in ((loaded.dispatched_s, dispatched), (loaded.start_s, start), (loaded.end_s, end)):
        np.testing.assert_allclose(mine, theirs, atol=0.51 * TICK_S)
    assert (loaded.cancelled == cancelled).all()
    assert (loaded.start_s <= loaded.end_s).all()


def test_times_too_long_to_keep_are_refused(tmp_path: Path) -> None:
    column = np.array([0.0])
    with pytest.raises(FormatError, match="too long to be recorded"):
        save_times(tmp_path / "t.arrow", Times(column, column, column + 300, column > 0))


def test_recordings_load_as_they_were_added(tmp_path: Path) -> None:
    path = tmp_path / store.FILE
    assert names_in(path) == []
    for recording in (recorded("a", 1.2, 1.0, 1.1), recorded("b", 2.0)):
        add_recording(path, recording)
    assert names_in(path) == [("half", "a"), ("half", "b")]
    first, second = recordings_in(path)
    original = recorded("a", 1.2, 1.0, 1.1)
    assert first.timeline.makespan_s == pytest.approx(original.makespans_s[2], abs=2 * TICK_S), "the median run"
    assert (first.makespans_s, first.spread) == (original.makespans_s, pytest.approx(0.2 / 1.1))
    assert second.spread is None
    assert (first.timeline.schedule.ops.kind == original.timeline.schedule.ops.kind).all()
    assert first.timeline.meta["backend"] == "toy"
    assert first.fingerprint == {"cpu": "toy"}
    assert len(first.conditions) == 6


def test_an_interrupted_addition_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / store.FILE
    add_recording(path, recorded("a", 1.0))
    before = path.read_bytes()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "save_times", stop)
    with pytest.raises(KeyboardInterrupt):
        add_recording(path, recorded("b", 1.0))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [store.FILE]


def test_predictions_are_compared_with_the_median_run_and_the_spread_of_all(tmp_path: Path) -> None:
    machine = tiny_machine(fingerprint={"read_bytes_per_s": "2e10"})
    found = predicted(recorded("a", 1.2, 1.25, 1.3), machine)
    assert found.comparison.error == pytest.approx(1 / 1.25 - 1)
    assert found.comparison.repeat_spread == pytest.approx(0.1 / 1.25)
    assert found.comparison.runs == 3
    assert found.condition == pytest.approx(0.5)


def test_rows_that_got_worse_are_listed_the_worst_first_and_those_that_improved_are_not(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "toy", recorded("a", 1.0), recorded("b", 1.5), recorded("c", 1.0))
    found = predict_all("toy", folder / store.FILE, tiny_machine())
    baseline.save_baseline(folder / baseline.FILE, found)
    assert check_folder_of(folder).worse == []
    slow = tiny_machine()
    slow = slow.model_copy(update={"links": tuple(_slower(link, 1.3) for link in slow.links)})
    slow.save(folder / MACHINE)
    worse = check_folder_of(folder).worse
    assert [row.name for row in worse] == ["half: a", "half: c"], "b was predicted too short, and is no further off"
    assert str(worse[0]).startswith("half: a: +")
    assert str(worse[0]).endswith(", was +0.0%")


def _slower(link: object, factor: float) -> object:
    curve = link.curve  # type: ignore[attr-defined]
    longer = curve.model_copy(update={"seconds": tuple(s * factor for s in curve.seconds)})
    return link.model_copy(update={"curve": longer})  # type: ignore[attr-defined]


def test_a_recording_that_was_never_accepted_is_not_worse(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "toy", recorded("a", 3.0))
    assert check_folder_of(folder).worse == []


@pytest.mark.parametrize("damage", ["not a zip", "a member is missing", "facts are no JSON"])
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / store.FILE
    if damage == "not a zip":
        path.write_text("hello", encoding="utf-8")
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("000/schedule.arrow", "x")
            archive.writestr("000/times.arrow", "x")
            archive.writestr("000/recording.json" if damage == "facts are no JSON" else "000/other", "{")
    with pytest.raises(FormatError, match=r"recordings.zip: .*(damaged|not a file of recordings)"):
        names_in(path)


def test_a_folder_without_recordings_or_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no recordings\.zip; give a folder that `moesim measure` wrote"):
        check_folder_of(tmp_path)
    (tmp_path / baseline.FILE).write_text("[1]", encoding="utf-8")
    with pytest.raises(FormatError, match="is not a baseline"):
        baseline.load_baseline(tmp_path / baseline.FILE)


def test_a_deadline_learns_what_work_takes() -> None:
    now = [0.0]
    deadline = Deadline(100.0, 10.0, clock=lambda: now[0])
    assert deadline.left_s == 90
    assert deadline.allows(10)
    deadline.learn(predicted_s=10, worked_s=40, took_s=45)
    assert deadline.expects(10) == 45
    assert deadline.allows(21)
    assert not deadline.allows(22)
    now[0] = 60
    assert not deadline.allows(10)
    assert replace(recorded("a", 1.0), label="b").name == "half: b"
