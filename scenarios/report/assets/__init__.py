"""Styles, scripts and markup of the pages."""

from __future__ import annotations

from importlib.resources import files

_HERE = files(__package__)


def asset(name: str) -> str:
    """The text of one of these files."""
    return (_HERE / name).read_text(encoding="utf-8")
