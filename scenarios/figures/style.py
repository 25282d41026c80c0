"""The look of all figures for papers: sizes, type and colours, whatever the reader's own matplotlib settings are."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from io import BytesIO
from typing import Any, ParamSpec, TypeVar, cast

from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from scenarios.report.palette import variables

NARROW, WIDE = 3.4, 7.0  # inches: one column of a paper, and both
TITLE, TEXT, SMALL = 8, 7, 6.5  # points: headings; names, marks and legends; what is written on bars
_SCREEN_DPI = 144
_COLOURS = {name: light for name, (light, _) in variables().items()}
INK, INK_2, INK_3, LINE = (_COLOURS[name] for name in ("ink", "ink-2", "ink-3", "line"))

# Text stays text in SVG, so that it can be searched, read aloud and edited; Verdana, of whose widths DejaVu was made,
# stands in where that is not installed. In PDF it is embedded as TrueType (Type 3, the default, is often refused).
_SETTINGS: dict[str, Any] = {
    "font.family": ["sans-serif"], "font.sans-serif": ["DejaVu Sans", "Verdana"], "font.size": 8,
    "axes.titlesize": TITLE, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 5,
    "axes.labelsize": 7.5, "xtick.labelsize": TEXT, "ytick.labelsize": TEXT, "legend.fontsize": TEXT,
    "text.color": INK, "axes.labelcolor": INK_2, "xtick.labelcolor": INK_2, "ytick.labelcolor": INK_2,
    "text.parse_math": False, "axes.unicode_minus": True, "axes.formatter.useoffset": False,
    "axes.linewidth": 0.5, "axes.edgecolor": INK_3, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": False, "grid.color": LINE, "grid.linewidth": 0.5, "axes.axisbelow": True,
    "xtick.color": INK_3, "ytick.color": INK_3, "xtick.major.width": 0.5, "ytick.major.width": 0.5,
    "xtick.major.size": 2.5, "ytick.major.size": 2.5, "xtick.minor.size": 0, "ytick.minor.size": 0,
    "lines.linewidth": 1.1, "lines.markersize": 3, "hatch.linewidth": 0.6, "patch.linewidth": 0,
    "legend.frameon": False, "legend.borderpad": 0, "legend.borderaxespad": 0.3, "legend.handlelength": 1.2,
    "legend.handleheight": 0.8, "legend.handletextpad": 0.5, "legend.columnspacing": 1.2, "legend.labelspacing": 0.35,
    "figure.constrained_layout.w_pad": 0.03, "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.wspace": 0.02, "figure.constrained_layout.hspace": 0.02,
    "savefig.dpi": 300, "svg.fonttype": "none", "svg.hashsalt": "moesim", "pdf.fonttype": 42,
    "image.interpolation": "none",
}  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Make a function draw, or save, in this style."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        with rc_context(), warnings.catch_warnings():
            rcdefaults()
            rcParams.update(cast("Any", _SETTINGS))  # its names are typed one by one
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # SVG leaves such to other fonts
            return draw(*args, **kwargs)

    return drawn


class PaperFigure(Figure):
    """A figure that a notebook shows, whether or not pyplot is there."""

    def _repr_png_(self) -> bytes:
        with BytesIO() as drawn:
            styled(self.savefig)(drawn, format="png", dpi=_SCREEN_DPI)
            return drawn.getvalue()


def blank(width_in: float, height_in: float) -> Figure:
    """An empty figure whose parts find their places by themselves."""
    return PaperFigure(figsize=(width_in, height_in), layout="constrained")


def colour(paint: str) -> str:
    """The colour on white paper of a CSS colour of pages: `var(--s0)`."""
    return _COLOURS[paint.removeprefix("var(--").removesuffix(")")]


def plain(axes: Axes, *, grid: str = "x") -> None:
    """Hairlines along one axis, and none of the other's line and ticks."""
    axes.grid(visible=True, axis="x" if grid == "x" else "y")
    other = axes.yaxis if grid == "x" else axes.xaxis
    other.set_tick_params(length=0)
    axes.spines["left" if grid == "x" else "bottom"].set_visible(False)


def ink_on(surface: str) -> str:
    """The colour of text on a colour: white, or the ink of the page, whichever stands out more."""
    red, green, blue = to_rgb(surface)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.6 else INK


def paler(fill: str, share: float = 0.35) -> str:
    """A colour as if so much of it lay on white paper; transparency is not for every printer."""
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(fill))
    return to_hex((red, green, blue))
