"""The errors that predictions of recordings had when they were last accepted, and which have got worse since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scenarios.validate import Validation
from sim.errors import FormatError
from sim.files import write_text

FILE = "errors.json"
SLACK = 0.01  # by how much an absolute relative error may grow unnoticed


@dataclass(frozen=True)
class Worse:
    """One recording whose prediction is further off than it was; errors are signed and relative."""

    name: str
    before: float
    now: float

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.name}: {self.now:+.1%}, was {self.before:+.1%}"


def errors_of(found: Validation) -> dict[str, float]:
    """End-to-end error of every recording, by name."""
    return {f"{each.scenario}: {each.label}": round(each.comparison.error, 6) for each in found.schedules}


def worse_than(baseline: Mapping[str, float], found: Validation) -> list[Worse]:
    """The recordings further off than the baseline allows, the worst change first; one without a baseline is not."""
    rows = [Worse(name, baseline[name], now) for name, now in errors_of(found).items() if name in baseline]
    worse = [row for row in rows if abs(row.now) > abs(row.before) + SLACK]
    return sorted(worse, key=lambda row: abs(row.before) - abs(row.now))


def save_baseline(path: Path, found: Validation) -> None:
    """Accept the errors as they are."""
    write_text(path, json.dumps(errors_of(found), indent=1, sort_keys=True) + "\n")


def load_baseline(path: Path) -> dict[str, float]:
    """Read what `save_baseline` wrote; raises FormatError if the file is anything else."""
    try:
        errors = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): float(error) for name, error in errors.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise FormatError(f"is not a baseline: {error}", file=path, remedy="accept the errors anew") from error
