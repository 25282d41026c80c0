from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from calibrate.journal import Journal
from calibrate.units import Unit, run_units
from sim.errors import InputError

IDENTITY = {"computer": "a", "models": [["m"]]}


def test_samples_of_one_name_accumulate_over_units(tmp_path: Path) -> None:
    with Journal(tmp_path / "s.jsonl", IDENTITY) as journal:
        journal.add("u1", {"x": [1.0], "y": [5.0]}, 0.5)
        journal.add("u2", {"x": [2.0, 3.0]}, 0.25)
    assert journal.samples == {"x": [1.0, 2.0, 3.0], "y": [5.0]}
    assert journal.spent_s == {"u1": 0.5, "u2": 0.25}


def interrupted(path: Path) -> None:
    with Journal(path, IDENTITY) as journal:
        journal.add("u1", {"x": [1.0]}, 0.5)
        journal.add("u2", {"x": [2.0]}, 0.5)


def test_an_interrupted_journal_is_continued(tmp_path: Path) -> None:
    interrupted(tmp_path / "s.jsonl")
    with Journal(tmp_path / "s.jsonl", IDENTITY) as journal:
        assert journal.resumed
        assert journal.samples == {"x": [1.0, 2.0]}
        journal.add("u3", {"x": [3.0]}, 0.5)
    with Journal(tmp_path / "s.jsonl", IDENTITY) as again:
        assert again.samples == {"x": [1.0, 2.0, 3.0]}


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_cut_short_is_dropped_and_measured_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "s.jsonl"
    interrupted(path)
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path, IDENTITY) as journal:
        assert list(journal.spent_s) in (["u1"], [])
        journal.add("u2", {"x": [9.0]}, 0.5)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[-1]["samples"] == {"x": [9.0]}


@pytest.mark.parametrize("spoil", ["finished", "other computer", "alien"])
def test_any_other_file_is_replaced(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "s.jsonl"
    interrupted(path)
    identity = dict(IDENTITY)
    if spoil == "finished":
        with Journal(path, IDENTITY) as journal:
            journal.finish()
    elif spoil == "alien":
        path.write_bytes(b"\x00\xff not json")
    else:
        identity["computer"] = "b"
    with Journal(path, identity) as journal:
        assert not journal.resumed
        assert journal.samples == {}
    assert len(path.read_text().splitlines()) == 1


def test_a_folder_that_cannot_be_written_to_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written.*choose a folder"):
        Journal(tmp_path / "file" / "s.jsonl", IDENTITY)


def units(calls: list[tuple[str, float]], stop_at: str = "") -> list[Unit]:
    def measure(name: str, budget_s: float, known: dict[str, list[float]]) -> dict[str, list[float]]:
        if name == stop_at:
            raise KeyboardInterrupt
        calls.append((name, budget_s))
        return {name: [float(len(known))]}

    return [Unit(name, 1.0, lambda b, known, name=name: measure(name, b, known)) for name in "abcd"]  # type: ignore[misc]


def test_units_run_in_order_see_what_is_known_and_resume_where_they_were_stopped(tmp_path: Path) -> None:
    calls: list[tuple[str, float]] = []
    with pytest.raises(KeyboardInterrupt), Journal(tmp_path / "s", IDENTITY) as journal:
        run_units(units(calls, stop_at="c"), journal, 100.0, lambda what, share: None)
    assert [name for name, _ in calls] == ["a", "b"]
    said: list[tuple[str, float]] = []
    with Journal(tmp_path / "s", IDENTITY) as journal:
        run_units(units(calls), journal, 100.0, lambda what, share: said.append((what, share)))
    assert [name for name, _ in calls] == ["a", "b", "c", "d"]
    assert journal.samples == {"a": [0.0], "b": [1.0], "c": [2.0], "d": [3.0]}
    assert said == [("c", 0.5), ("d", 0.75), ("done", 1.0)]


def test_units_get_their_share_or_less_when_time_is_short(tmp_path: Path) -> None:
    calls: list[tuple[str, float]] = []
    with Journal(tmp_path / "s", IDENTITY) as journal:
        journal.add("a", {}, spent_s=2.5)
        run_units(units(calls), journal, 4.0, lambda what, share: None)
    assert [name for name, _ in calls] == ["b", "c", "d"]
    assert calls[0][1] == pytest.approx(0.5, abs=0.05)
    calls.clear()
    with Journal(tmp_path / "t", IDENTITY) as journal:
        run_units(units(calls), journal, 40.0, lambda what, share: None)
    assert [budget for _, budget in calls] == [1.0] * 4


def test_what_can_be_spared_is_left_out_when_time_is_short(tmp_path: Path) -> None:
    calls: list[tuple[str, float]] = []
    plain = units(calls)
    some = [plain[0], replace(plain[1], spared=True), plain[2], replace(plain[3], spared=True)]
    with Journal(tmp_path / "s", IDENTITY) as journal:
        journal.add("earlier", {}, spent_s=1.5)
        run_units(some, journal, 2.4, lambda what, share: None)
    assert [name for name, _ in calls] == ["a", "c", "d"], "b would have taken what c needs"
    calls.clear()
    with Journal(tmp_path / "t", IDENTITY) as journal:
        run_units(some, journal, 40.0, lambda what, share: None)
    assert len(calls) == 4
