"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sim.errors import InputError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary sibling to write to, which becomes `path` if the block ends well and vanishes if not.

    Raises InputError if the folder cannot be written to.
    """
    target = Path(path)
    draft = target.parent / f".{target.name}.{os.getpid()}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        draft.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot be written: {reason}", file=path, remedy="choose a folder you may write to"
        ) from error
    finally:
        with suppress(OSError):  # not there, or never could be
            draft.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, atomically."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")
