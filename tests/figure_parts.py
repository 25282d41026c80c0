"""What a reader finds in figures: lengths of bars, texts of files, and texts that leave the figure."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from scenarios.figures.save import settle

Values = NDArray[np.float64]


def bars(axes: Axes) -> dict[float, list[tuple[float, float]]]:
    """From where to where each bar reaches, in the order drawn, by the middle of its row."""
    found: dict[float, list[tuple[float, float]]] = {}
    for patch in axes.patches:
        assert isinstance(patch, Rectangle)
        at = round(patch.get_y() + patch.get_height() / 2, 9)
        found.setdefault(at, []).append((patch.get_x(), patch.get_x() + patch.get_width()))
    return found


def lengths(axes: Axes) -> dict[float, list[float]]:
    """How long the bars of each row are."""
    return {at: [end - begin for begin, end in spans] for at, spans in bars(axes).items()}


def row_names(axes: Axes) -> dict[float, str]:
    """The name of each row, on one line."""
    return {
        float(at): label.get_text().replace("\n", " ")
        for at, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    }


def by_name(figure: Figure, panel: int = 0) -> dict[str, list[float]]:
    """Lengths of the bars of a panel by the name of their row; rows are named on the first panel."""
    found, names = lengths(figure.axes[panel]), row_names(figure.axes[0])
    return {name: found.get(round(at, 9), []) for at, name in names.items()}


def svg_texts(path: Path) -> list[str]:
    """All texts of an SVG file."""
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    return ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]


def margins(figure: Figure) -> tuple[float, float, float, float]:
    """Inches that the figure has to the left of, below, right of and above all that is drawn; negative: it is cut."""
    settle(figure)
    drawn = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())  # type: ignore[no-untyped-call]
    width, height = figure.get_size_inches()
    return drawn.x0, drawn.y0, width - drawn.x1, height - drawn.y1


def curves(axes: Axes) -> list[tuple[Values, Values]]:
    """The points of each line, across and up."""
    return [(np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)) for line in axes.lines]


def marked(axes: Axes) -> Values:
    """Where the points of scatter plots are, sorted: [point, 2]."""
    found = [np.asarray(each.get_offsets(), float) for each in axes.collections if isinstance(each, PathCollection)]
    return np.array(sorted(map(tuple, np.concatenate(found).tolist())))


def uprights(axes: Axes) -> list[tuple[float, float, float]]:
    """Of each straight line that was drawn as such: where it is across, and its ends."""
    return [
        (float(line[0][0]), float(line[0][1]), float(line[1][1]))
        for each in axes.collections if isinstance(each, LineCollection)
        for line in map(np.asarray, each.get_segments()) if line[0][0] == line[1][0]
    ]  # fmt: skip
