"""A static picture of reported against simulated, as SVG: both axes logarithmic, with ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from scenarios.published.compare import Outcome, Simulated
from scenarios.published.load import PaperFile
from scenarios.published.spec import Figure
from scenarios.report.palette import STRATEGIES, SURFACES

WIDTH, HEIGHT = 880, 640
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 250, 14, 48  # margins; the legend is on the right
BAND = 0.25  # on either side of the diagonal
_INKS = {"ink": "ink-2", "faint": "ink-3", "line": "line", "band": "raised"}


@dataclass(frozen=True)
class Scale:
    """Where a value is on a logarithmic axis from `low` to `high`, in pixels."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> str:
        """The pixel, as SVG takes it."""
        share = log10(value / self.low) / log10(self.high / self.low)
        return f"{self.begin + share * (self.end - self.begin):.1f}"


def picture(files: Sequence[PaperFile], outcomes: Mapping[str, Mapping[str, Outcome]]) -> str:
    """Everything inside the svg element; equal outcomes give equal text."""
    groups = [list(points(file, outcomes[file.name])) for file in files]
    ends = ends_of([pair for group in groups for pair in group])
    x, y = Scale(*ends, _LEFT, WIDTH - _RIGHT), Scale(*ends, HEIGHT - _BOTTOM, _TOP)
    parts = [_style(len(files)), *_frame(x, y)]
    for number, (file, group) in enumerate(zip(files, groups, strict=True)):
        parts += [mark for figure, found in group for mark in _mark(number, figure, found, x, y)]
        parts += _legend(number, file.spec.title)
    return "\n".join(parts)


def ends_of(pairs: Sequence[tuple[Figure, Simulated]]) -> tuple[float, float]:
    """The decades that hold all values."""
    values = [value for figure, found in pairs for value in (figure.reported, found.low, found.high)]
    return 10.0 ** floor(log10(min(v for v in values if v > 0))), 10.0 ** ceil(log10(max(values)))


def points(file: PaperFile, outcomes: Mapping[str, Outcome]) -> Iterator[tuple[Figure, Simulated]]:
    """All figures of a paper, each with what was simulated."""
    for setting in file.spec.settings:
        for figure in setting.figures:
            yield figure, outcomes[setting.name].figures[figure.id]


def _style(n_papers: int) -> str:
    """Colours of the light theme, and of the dark one where the reader has that."""
    themes = [
        "".join(
            [f".{name}{{--c:{SURFACES[ink][theme]}}}" for name, ink in _INKS.items()]
            + [f".p{number}{{--c:{STRATEGIES[number % len(STRATEGIES)][theme]}}}" for number in range(n_papers)]
        )
        for theme in (0, 1)
    ]
    shapes = (
        "text{font:12px system-ui,sans-serif;fill:var(--c)}path,line{stroke:var(--c);fill:none}"
        ".fill{fill:var(--c);stroke:none}.open{fill:none}circle{stroke:var(--c);stroke-width:1.6;fill:var(--c)}"
    )
    return f"<style>{themes[0]}@media(prefers-color-scheme:dark){{{themes[1]}}}{shapes}circle.open{{fill:none}}</style>"


def _frame(x: Scale, y: Scale) -> Iterator[str]:
    """Band, diagonal, a line for each decade, and what the axes mean."""
    low, high = x.low, x.high
    corners = [
        (low, low * (1 - BAND)),
        (high, high * (1 - BAND)),
        (high, high * (1 + BAND)),
        (low, low * (1 + BAND)),
    ]
    inside = f'<rect x="{x(low)}" y="{y(high)}" width="{WIDTH - _LEFT - _RIGHT}" height="{HEIGHT - _TOP - _BOTTOM}"/>'
    yield f'<clipPath id="plot">{inside}</clipPath>'
    band = " L".join(f"{x(a)},{y(b)}" for a, b in corners)
    yield f'<path class="band fill" clip-path="url(#plot)" d="M{band}Z"/>'
    for exponent in range(round(log10(low)), round(log10(high)) + 1):
        value = 10.0**exponent
        yield f'<path class="line" d="M{x(value)},{y(low)}V{y(high)}M{x(low)},{y(value)}H{x(high)}"/>'
        yield f'<text class="ink" x="{x(value)}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">{value:g}</text>'
        yield f'<text class="ink" x="{_LEFT - 8}" y="{y(value)}" dy="4" text-anchor="end">{value:g}</text>'
    yield f'<line class="faint" x1="{x(low)}" y1="{y(low)}" x2="{x(high)}" y2="{y(high)}"/>'
    middle = (WIDTH - _RIGHT + _LEFT) / 2
    yield f'<text class="ink" x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">reported, each in its own unit</text>'
    yield f'<text class="ink" transform="translate(14,{HEIGHT / 2}) rotate(-90)" text-anchor="middle">simulated</text>'


def _mark(number: int, figure: Figure, found: Simulated, x: Scale, y: Scale) -> Iterator[str]:
    at = x(figure.reported)
    if found.low < found.high:
        yield f'<line class="p{number}" x1="{at}" y1="{y(found.low)}" x2="{at}" y2="{y(found.high)}"/>'
    kind = f"p{number} open" if figure.bound else f"p{number}"
    yield f'<circle class="{kind}" cx="{at}" cy="{y(found.value)}" r="4"><title>{escape(figure.says)}</title></circle>'


def _legend(number: int, title: str) -> Iterator[str]:
    left, top = WIDTH - _RIGHT + 22, _TOP + 12 + 22 * number
    yield f'<circle class="p{number}" cx="{left}" cy="{top}" r="4"/>'
    yield f'<text class="ink" x="{left + 12}" y="{top}" dy="4">{escape(title)}</text>'
