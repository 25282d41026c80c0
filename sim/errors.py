"""Every error that moesim raises on purpose, on one page.

A user's mistake is an `InputError`: one line that names the file, the field, the value and the remedy.
The command line prints it and exits with status 2; nothing else is caught.
"""

from __future__ import annotations

from pathlib import Path


class MoesimError(Exception):
    """Base of all errors that moesim raises on purpose."""


class InputError(MoesimError):
    """Something that the user gave is wrong; the message is one line."""

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        field: str | None = None,
        value: object = None,
        remedy: str | None = None,
    ) -> None:
        self.file, self.field, self.value, self.remedy = file, field, value, remedy
        where = f"{file}: " if file is not None else ""
        what = f"{field}: " if field is not None else ""
        got = f" (got {_short(value)})" if value is not None else ""
        fix = f"; {remedy}" if remedy is not None else ""
        super().__init__(" ".join(f"{where}{what}{message}{got}{fix}".split()))


class FormatError(InputError):
    """A file is truncated, of another kind, or of a version that this moesim cannot read."""


class DoesNotFit(InputError):
    """The scenario needs more memory than the machine has; the message shows the sum."""


class ScheduleError(MoesimError):
    """A strategy broke a rule of the schedule, e.g. ran an expert whose weights are nowhere."""


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
