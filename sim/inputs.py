"""Files that a user names: found and read, or refused in one line."""

from __future__ import annotations

from pathlib import Path

from sim.errors import FormatError, InputError


def existing(path: str | Path) -> Path:
    """Return the path of a file; raises InputError if there is none, or a folder instead."""
    if Path(path).is_dir():
        raise InputError("is a folder, not a file", file=path, remedy="give the path of a file in it")
    if not Path(path).is_file():
        raise InputError("no such file", file=path, remedy="check the path")
    return Path(path)


def read_text(path: str | Path, remedy: str) -> str:
    """Read a UTF-8 file; raises InputError if there is none, FormatError with the remedy if it holds anything else."""
    try:
        return existing(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError("not a readable text file", file=path, remedy=remedy) from error
