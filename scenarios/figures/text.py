"""Texts that are short enough for their place."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

_CUT = "…"
_MEASURED = 10.0  # points of the letters that are measured


def width(text: str, size: float) -> float:
    """Points that a text of `size` points takes: no less than that, for kerning is left out."""
    return size / _MEASURED * sum(map(_letter, text))


def fitted(text: str, points: float, size: float, lines: int = 1) -> str:
    """A text on so many lines of so many points; of a longer one, its beginning and end, where names differ."""
    text = " ".join(text.split())

    def broken(room: int) -> list[str]:
        return list(_broken(_cut(text, room), points, size))

    rooms = range(1, len(text) + 1)
    room = bisect_right(rooms, lines, key=lambda room: len(broken(room)))
    return "\n".join(broken(max(1, room)))


def _cut(text: str, room: int) -> str:
    """Two thirds of the room for the beginning."""
    if len(text) <= room:
        return text
    end = (room - 1) // 3
    return f"{text[: room - 1 - end].rstrip()}{_CUT}{text[len(text) - end :].lstrip()}"


def _broken(text: str, points: float, size: float) -> Iterator[str]:
    """Lines, broken between words, or within those that are longer than a line."""
    line = ""
    for word in text.split(" "):
        if width(f"{line} {word}", size) <= points or not line:
            line = f"{line} {word}".lstrip()
        else:
            yield line
            line = word
        while width(line, size) > points and len(line) > 1:
            head = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or width(line[:n], size) <= points)
            yield line[:head]
            line = line[head:]
    yield line


@cache
def _letter(letter: str) -> float:
    font = FontProperties(family="DejaVu Sans", size=_MEASURED)
    return TextToPath().get_text_width_height_descent(letter, font, ismath=False)[0]
