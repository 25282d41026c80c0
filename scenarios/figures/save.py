"""Saving figures: equal ones give equal bytes, and nobody ever sees half of a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from scenarios.figure_formats import ImageFormat
from scenarios.figures.style import styled
from sim.errors import InputError
from sim.files import replacing

_UNDATED: dict[ImageFormat, dict[str, Any]] = {
    ImageFormat.SVG: {"Date": None},
    ImageFormat.PDF: {"CreationDate": None},
    ImageFormat.PNG: {},
}


@styled
def save(path: str | Path, figure: Figure, *, title: str = "") -> None:
    """Write a figure, atomically, as what the path ends in (.svg, .png, .pdf); the file says that it shows `title`.

    Raises InputError for another ending, or if the file cannot be written.
    """
    ending = Path(path).suffix.removeprefix(".").lower()
    if ending not in [form.value for form in ImageFormat]:
        raise InputError("is no format of figures", file=path, value=ending, remedy="end it in .svg, .png or .pdf")
    form = ImageFormat(ending)
    with replacing(path) as draft:
        figure.savefig(draft, format=form.value, metadata={"Title": title, **_UNDATED[form]})


@styled
def settle(figure: Figure) -> None:
    """Let the parts of a figure find their places now, once, instead of whenever it is saved."""
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)  # "none" would have it drawn twice


@styled
def save_all(
    folder: Path, figures: Iterable[tuple[str, Figure | None]], formats: Sequence[str], *, title: str = ""
) -> None:
    """Write each figure that there is, by name, in each format as DIR/figures/NAME.FORMAT."""
    for name, figure in figures:
        if figure is None:
            continue
        settle(figure)
        for form in dict.fromkeys(formats):
            save(folder / "figures" / f"{name}.{form}", figure, title=f"{title}: {name}" if title else name)
