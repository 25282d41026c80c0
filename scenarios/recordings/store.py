"""A file of recordings: a ZIP with a schedule, the times of its median run and some facts for each of them."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np

from scenarios.recordings.times import load_times, save_times
from sim.errors import FormatError
from sim.files import replacing
from sim.schedule import Schedule
from sim.timeline import Timeline

FILE = "recordings.zip"
_SCHEDULE, _TIMES, _FACTS = "schedule.arrow", "times.arrow", "recording.json"


@dataclass(frozen=True)
class Recording:
    """One schedule as hardware executed it. `timeline` is the run of median length, `makespans_s` are of all runs.

    `conditions` are the readings before and after each run; `fingerprint` tells the computer.
    """

    scenario: str
    label: str
    timeline: Timeline
    makespans_s: tuple[float, ...]
    conditions: tuple[dict[str, float], ...]
    fingerprint: dict[str, str]

    @classmethod
    def of(cls, scenario: str, label: str, runs: Sequence[Timeline]) -> Self:
        """Record repeated runs of one schedule."""
        makespans = [run.makespan_s for run in runs]
        median = runs[int(np.argsort(makespans)[len(runs) // 2])]
        return cls(
            scenario, label, median, tuple(makespans),
            tuple(run.meta.get(f"condition_{when}", {}) for run in runs for when in ("before", "after")),
            dict(median.meta.get("fingerprint", {})),
        )  # fmt: skip

    @property
    def name(self) -> str:
        """What it is called in tables and baselines."""
        return f"{self.scenario}: {self.label}"

    @property
    def spread(self) -> float | None:
        """Range of the runs' lengths over their median; None for a single run."""
        if len(self.makespans_s) < 2:
            return None
        return float(np.ptp(self.makespans_s) / np.median(self.makespans_s))


def add_recording(path: Path, recording: Recording) -> None:
    """Append a recording; whoever looks sees the file before or after that."""
    with replacing(path) as draft, TemporaryDirectory() as folder:
        if path.exists():
            shutil.copyfile(path, draft)
        with zipfile.ZipFile(draft, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            number = len(archive.namelist()) // 3
            recording.timeline.schedule.save(Path(folder) / _SCHEDULE)
            save_times(Path(folder) / _TIMES, recording.timeline.times)
            (Path(folder) / _FACTS).write_text(json.dumps(_facts(recording), indent=1) + "\n", encoding="utf-8")
            for member in (_SCHEDULE, _TIMES, _FACTS):
                archive.write(Path(folder) / member, f"{number:03d}/{member}")


def names_in(path: Path) -> list[tuple[str, str]]:
    """(scenario, label) of every recording of a file; none if there is no file. Raises FormatError if it is another."""
    if not path.exists():
        return []
    with _opened(path) as archive:
        facts = [_read_facts(archive, path, number) for number in range(_count(archive))]
    return [(str(each["scenario"]), str(each["label"])) for each in facts]


def recordings_in(path: Path) -> Iterator[Recording]:
    """Yield every recording of a file, one at a time in memory; raises FormatError if it is damaged or another."""
    with _opened(path) as archive, TemporaryDirectory() as folder:
        for number in range(_count(archive)):
            try:
                archive.extractall(folder, [f"{number:03d}/{member}" for member in (_SCHEDULE, _TIMES)])
            except (KeyError, zipfile.BadZipFile, OSError) as error:
                raise FormatError(f"recording {number} is damaged: {error}", file=path) from error
            here = Path(folder) / f"{number:03d}"
            yield _recording(path, here, _read_facts(archive, path, number))
            shutil.rmtree(here)


def _recording(path: Path, folder: Path, facts: dict[str, Any]) -> Recording:
    schedule, times = Schedule.load(folder / _SCHEDULE), load_times(folder / _TIMES)
    if len(schedule) != len(times):
        raise FormatError(f"{facts.get('label')}: {len(times)} times for {len(schedule)} ops", file=path)
    try:
        meta = facts["meta"] | {"fingerprint": facts["fingerprint"]}
        return Recording(
            facts["scenario"], facts["label"], Timeline(schedule, times, "measured", meta),
            tuple(facts["makespans_s"]), tuple(facts["conditions"]), facts["fingerprint"],
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise FormatError(f"a recording lacks {error}", file=path, remedy="record it again") from error


def _facts(recording: Recording) -> dict[str, Any]:
    facts = {name: value for name, value in vars(recording).items() if name != "timeline"}
    return facts | {"meta": {k: v for k, v in recording.timeline.meta.items() if k != "fingerprint"}}


def _read_facts(archive: zipfile.ZipFile, path: Path, number: int) -> dict[str, Any]:
    try:
        facts = json.loads(archive.read(f"{number:03d}/{_FACTS}"))
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise FormatError(f"recording {number} is damaged: {error}", file=path) from error
    if not isinstance(facts, dict):
        raise FormatError(f"recording {number} is damaged", file=path)
    return facts


def _count(archive: zipfile.ZipFile) -> int:
    return len(archive.namelist()) // 3


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise FormatError(f"is not a file of recordings: {error}", file=path, remedy=f"give a {FILE}") from error
