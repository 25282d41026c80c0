"""Examples of the documents: Python runs and prints what stands there, commands exist with all their options."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

from scenarios.cli import app

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_LANGUAGES = {"", "python", "text", "sh", "yaml", "toml", "sql"}
MOESIM: Any = typer.main.get_command(app)
_Refused: Any = typer.BadParameter.__mro__[1]  # what all complaints of typer's parser are


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("examples", ROOT / "docs" / "examples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


doc = _module()


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", doc.documents(), ids=named)
def test_examples_print_what_the_document_says(document: Path) -> None:
    assert doc.current(document) == document.read_text(encoding="utf-8"), "run `make docs`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_no_block_is_overlooked(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    opening = re.findall(r"^ *```(.*)$", text, re.MULTILINE)[::2]
    assert set(opening) <= _LANGUAGES, "in another language, or not closed"
    assert len(list(doc.examples(text))) == opening.count("python")


def made(folder: Path, text: str) -> str:
    path = folder / "made.md"
    path.write_text(text, encoding="utf-8")
    return str(doc.current(path))


def test_a_wrong_output_is_corrected_and_a_missing_one_added(tmp_path: Path) -> None:
    begin, end = "A\n\n```python\nprint(1 + 1)\n```\n", "\n```python\nx = 1\n```\n\nB\n"
    right = f"{begin}\n```text\n2\n```\n{end}"
    assert made(tmp_path, f"{begin}\n```text\n3\n```\n{end}") == right
    assert made(tmp_path, begin + end) == right
    assert made(tmp_path, right) == right


def test_an_output_of_nothing_goes(tmp_path: Path) -> None:
    assert made(tmp_path, "```python\nx = 1\n```\n\n```text\n3\n```\n\nB\n") == "```python\nx = 1\n```\n\nB\n"


def test_blocks_share_their_names_and_an_empty_folder(tmp_path: Path) -> None:
    text = (
        "```python\nfrom pathlib import Path\nPath('a.txt').write_text('hello')\n```\n\n"
        "```python\nprint(*Path().iterdir(), Path('a.txt').read_text())\n```\n\n```text\na.txt hello\n```\n"
    )
    assert made(tmp_path, text) == text
    assert not Path("a.txt").exists()


def test_what_cannot_run_is_left_alone_for_a_reason(tmp_path: Path) -> None:
    text = "<!-- not run: takes a day -->\n```python\nprint(nothing)\n```\n\n```text\nstands\n```\n"
    assert made(tmp_path, text) == text
    with pytest.raises(NameError):
        made(tmp_path, text.replace(": takes a day", ":"))


def test_an_example_that_fails_names_its_line_of_the_document(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as failure:
        made(tmp_path, "A\n\n```python\nx = 1\nx / 0\n```\n")
    last = failure.traceback[-1]
    assert (Path(last.path).name, last.lineno + 1) == ("made.md", 5)


def commands() -> Iterator[tuple[str, str]]:
    """Every command of a `sh` block, with the document that it stands in."""
    for document in DOCUMENTS:
        for block in re.findall(r"^```sh\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            for line in re.split(r"\n|&&", block):
                if line.strip().startswith("moesim "):
                    yield named(document), line.strip()


def parse(line: str) -> None:
    """Raises what the command line would be refused with, but runs nothing."""
    words = [word for word in shlex.split(line, comments=True)[1:] if word != "…"]
    command, context, name = MOESIM, None, "moesim"
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, list(words), parent=context)
        name, command, words = command.resolve_command(context, words)
    command.make_context(name, words, parent=context)


@pytest.mark.parametrize(("document", "line"), sorted(set(commands())))
def test_commands_exist_with_their_options(document: str, line: str) -> None:
    parse(line)


@pytest.mark.parametrize("line", ["moesim run quickstart --sed 1", "moesim ruin", "moesim trace import --format x a b"])
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    with pytest.raises((_Refused, typer.Exit)):
        parse(line)
