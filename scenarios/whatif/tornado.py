"""What a tornado plot shows: for decoding and for the first token, what less and more of each lever makes of them."""

from __future__ import annotations

from typing import NamedTuple

from scenarios.whatif.answer import Answer, Figure
from scenarios.whatif.levers import Lever

_TITLES: dict[Figure, tuple[str, str]] = {
    "decode": ("Decode speed", "to the right is faster"),
    "first_token": ("Time to first token", "to the right is sooner"),
}


class Row(NamedTuple):
    """A lever: the pace with half of it, with twice as much (or the best beside its limit), and at its limit.

    Paces are factors of the present one; None where a run has no such figure.
    """

    name: str
    what: str
    elasticity: float | None
    half: float | None
    twice: float | None
    twice_label: str | None
    limit: float | None
    limit_label: str


class Panel(NamedTuple):
    """A figure of the run and all its levers."""

    figure: Figure
    title: str
    note: str
    rows: tuple[Row, ...]


def panels(answer: Answer) -> list[Panel]:
    """Of the figures that the run has."""
    summary = answer.run.summary
    there: dict[Figure, float | None] = {"decode": summary.decode_tokens_per_s, "first_token": summary.ttft_s}
    return [
        Panel(figure, *_TITLES[figure], tuple(_row(lever, figure) for lever in answer.levers))
        for figure, value in there.items()
        if value
    ]


def _row(lever: Lever, figure: Figure) -> Row:
    middle = "× 2" if "× 2" in lever.gains else list(lever.gains)[-2] if len(lever.gains) > 1 else None
    return Row(
        name=lever.name,
        what=lever.what,
        elasticity=getattr(lever.elasticity, figure),
        half=getattr(lever.loss, figure),
        twice=None if middle is None else getattr(lever.gains[middle], figure),
        twice_label=middle,
        limit=getattr(lever.limit, figure),
        limit_label=list(lever.gains)[-1],
    )
