"""Saved timelines and the schedules beside them: NAME.timeline.arrow and NAME.schedule.arrow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.timeline import Timeline

TIMELINE, SCHEDULE = ".timeline.arrow", ".schedule.arrow"


def load_timeline(path: Path, schedule: Path | None = None) -> Timeline:
    """The timeline of a file, with the schedule beside it, else with that of another file.

    Raises InputError if there is no such file or no schedule, FormatError if a file is not what it should be.
    """
    from sim.errors import InputError
    from sim.inputs import existing
    from sim.schedule import Schedule
    from sim.timeline import Timeline

    existing(path)
    beside = path.with_name(stem(path) + SCHEDULE)
    if path.name.endswith(TIMELINE) and beside.is_file():
        schedule = beside
    if schedule is None:
        raise InputError(
            "has no schedule beside it", file=path, field="--schedule", remedy=f"name it, or put {beside.name} there"
        )
    return Timeline.load(path, Schedule.load(schedule))


def stem(path: Path) -> str:
    """NAME of NAME.timeline.arrow."""
    return path.name.removesuffix(TIMELINE)
