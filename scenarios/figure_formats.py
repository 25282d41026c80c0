"""The option `--figures` of all commands that draw; apart from what draws, for the command line to know at once."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from sim.errors import InputError


class ImageFormat(StrEnum):
    """Of a figure."""

    SVG = "svg"
    PNG = "png"
    PDF = "pdf"


FigureFormats = Annotated[
    list[ImageFormat] | None,
    typer.Option(
        "--figures",
        help="Draw each figure for papers too, into a folder `figures` where the other files go; may be given again.",
    ),
]


def check_figures(formats: Sequence[ImageFormat] | None, out: Path | None) -> None:
    """Raise InputError if figures are wanted that could not be drawn or kept, before the work for them."""
    if not formats:
        return
    if out is None:
        raise InputError("says what to write, but not where", field="--figures", remedy="add --out DIR")
    if find_spec("matplotlib") is None:
        raise InputError("needs matplotlib", field="--figures", remedy="pip install 'moesim[figures]'")
