"""Card: a title and a few rows of figures, as HTML for notebooks and as text for `print`.

The HTML is self-contained, without script or colours of its own: it takes those of the notebook, light or dark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from sim.notebook.markup import Html, tag

_TABLE = "border-collapse:collapse;margin:.3em 0;font-size:inherit"
_CELL = "padding:.1em .9em .1em 0;border:0;background:none;white-space:nowrap"
_BAR = "display:inline-block;height:.65em;background:currentColor;opacity:.45"
_FAINT = "opacity:.75"
_BAR_EM = 7  # the length of a bar of 100 %

_Object = TypeVar("_Object")


class Row(NamedTuple):
    """A name and its figures; `share` (0 to 1) is drawn as a bar, where there is HTML."""

    name: str
    cells: tuple[str, ...]
    share: float | None = None


@dataclass(frozen=True)
class Card:
    """`head` names the columns, that of the names included; `notes` are lines below.

    Columns that have a head or bars hold figures and stand to the right, others words. `plain` is the text for
    `print`, if it is another.
    """

    title: str
    rows: Sequence[Row]
    head: tuple[str, ...] = ()
    notes: Sequence[str] = ()
    plain: str | None = None

    def html(self) -> str:
        """One element, whose texts are escaped."""
        rows = [_line("th", Row(self.head[0], self.head[1:]), self._figures)] if self.head else []
        rows += [_line("td", each, self._figures) for each in self.rows]
        notes = [tag("div", note, style=_FAINT) for note in self.notes]
        return tag("div", tag("b", self.title), tag("table", *rows, style=_TABLE), *notes)

    def text(self) -> str:
        """The same in columns, without bars."""
        if self.plain is not None:
            return self.plain
        lines = [(each.name, *each.cells) for each in self.rows]
        lines = [self.head, *lines] if self.head else lines
        widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(max(map(len, lines), default=0))]
        return "\n".join([self.title, *(_columns(line, widths, self._figures) for line in lines), *self.notes])

    @property
    def _figures(self) -> bool:
        return bool(self.head) or any(each.share is not None for each in self.rows)


def shown(card: Callable[[_Object], Card]) -> Callable[[type[_Object]], type[_Object]]:
    """Decorate a class whose objects notebooks and `print` show as a card."""

    def decorate(kind: type[_Object]) -> type[_Object]:
        def html(self: _Object) -> str:
            return card(self).html()

        def text(self: _Object) -> str:
            return card(self).text()

        def pretty(self: _Object, printer: Any, cycle: bool) -> None:
            printer.text(card(self).text())

        kind._repr_html_ = html  # type: ignore[attr-defined]  # the name that notebooks look for
        kind._repr_pretty_ = pretty  # type: ignore[attr-defined]  # and IPython, in place of all fields
        kind.__str__ = text  # type: ignore[method-assign,assignment]
        return kind

    return decorate


def _line(kind: str, of: Row, figures: bool) -> Html:
    name = tag(kind, of.name, style=f"{_CELL};text-align:left")
    cells = [tag(kind, cell, style=f"{_CELL};text-align:{'right' if figures else 'left'}") for cell in of.cells]
    if of.share is None:
        return tag("tr", name, *cells)
    length = f"width:{_BAR_EM * min(max(of.share, 0.0), 1.0):.2f}em"
    return tag("tr", name, *cells, tag("td", tag("span", style=f"{_BAR};{length}"), style=f"{_CELL};text-align:left"))


def _columns(line: Sequence[str], widths: Sequence[int], figures: bool) -> str:
    place = str.rjust if figures else str.ljust
    cells = [place(cell, width) for cell, width in zip(line[1:], widths[1:], strict=False)]
    return "  ".join(["", line[0].ljust(widths[0]), *cells]).rstrip()
