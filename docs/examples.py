"""The Python examples of the documents: run, and their output compared or written.

In every document the ```` ```python ```` blocks run in order, in one fresh namespace and an empty folder. What a block
prints stands in a ```` ```text ```` block right after it. A block that cannot run follows a line
`<!-- not run: the reason -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n\n?)?```python\n(?P<code>.*?)^```\n(?P<output>\n*```text\n.*?^```\n)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Example:
    """A block of Python; `reason` says why it is not run, `output` is the block of text after it, fences included."""

    line: int
    code: str
    output: str
    reason: str | None
    span: tuple[int, int]  # of the output, in the document


def documents() -> list[Path]:
    """All documents with Python in them."""
    every = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in every if "```python" in path.read_text(encoding="utf-8")]


def examples(text: str) -> Iterator[Example]:
    """The Python blocks of a document, in order."""
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        begin = found.end() - len(found["output"] or "")
        yield Example(line, found["code"], found["output"] or "", found["reason"], (begin, found.end()))


def current(path: Path) -> str:
    """The document as it is with the outputs of all its examples made anew; raises what an example raises."""
    text = path.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "example"}
    pieces, at = [], 0
    with TemporaryDirectory() as folder, chdir(folder):
        for example in examples(text):
            if example.reason is not None:
                continue
            pieces += [text[at : example.span[0]], _block(_printed(example, path, names))]
            at = example.span[1]
    return "".join([*pieces, text[at:]])


def _printed(example: Example, path: Path, names: dict[str, Any]) -> str:
    """What an example prints; in tracebacks its lines are those of the document."""
    said = StringIO()
    code = compile("\n" * (example.line - 1) + example.code, str(path), "exec")
    with redirect_stdout(said):
        exec(code, names)
    return said.getvalue()


def _block(printed: str) -> str:
    """As it stands in a document: without spaces at the ends of lines, and not at all if there is nothing."""
    lines = [line.rstrip() for line in printed.rstrip().splitlines()]
    return "\n".join(["", "```text", *lines, "```", ""]) if lines else ""
