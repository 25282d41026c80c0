"""Write into the documents what they take from the program: `python docs/generate.py`, or with `--check` only compare.

A generated part stands between `<!-- name:begin -->` and `<!-- name:end -->`. What Python examples print is written too
(see `examples`), but compared by the tests alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import examples
import system_pages

from scenarios.machine_tables import tables
from scenarios.published import document
from scenarios.recordings.folder import VALIDATION, committed
from scenarios.routing_report import parts as routing_parts
from scenarios.validate import Validation
from scenarios.validation_table import as_text

ROOT = Path(__file__).resolve().parent.parent
PAPERS = ROOT / "docs" / "data" / "papers.json"


def first_scenario(command: str, *arguments: str) -> str:
    """What a command prints of the README's first scenario."""
    example = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None, "the README has lost its scenario"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.yaml"
        path.write_text(example[1], encoding="utf-8")
        return printed(command, str(path), *arguments)


def first_advice() -> str:
    """What the example of docs/advise.md prints."""
    example = re.search(r"For example, `moesim (advise .*?)`", (ROOT / "docs" / "advise.md").read_text("utf-8"))
    assert example is not None, "docs/advise.md has lost its example"
    return printed(*example[1].split())


def printed(*arguments: str) -> str:
    """What a command prints, as a block of code."""
    asked = [sys.executable, "-m", "scenarios", *arguments]
    lines = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()
    return "\n".join(["```", *(line.rstrip() for line in lines), "```"])


def fidelity() -> dict[str, str]:
    """The validation on the host, and that of every GPU whose recordings are committed."""
    data = ROOT / "docs" / "data"
    gpus = [Validation.load(folder / VALIDATION) for folder in committed(data / "recordings")]
    none = "No GPU has been reached yet: there is no corpus, and no figure."
    return {
        "host": _block(as_text(Validation.load(data / "host-validation.json"))),
        "gpus": "\n\n".join(_block(as_text(found)) for found in gpus) or none,
    }


def _block(text: str) -> str:
    return f"```\n{text}\n```"


DOCUMENTS: dict[str, Callable[[], Mapping[str, str]]] = {
    "README.md": lambda: {"quickstart": first_scenario("run")},
    "docs/advise.md": lambda: {"advice": first_advice()},
    "docs/intervals.md": lambda: {"whatif": first_scenario("whatif", "--strategy", "LRU cache")},
    "docs/why.md": lambda: {"explain": printed("explain", "quickstart")},
    "docs/fidelity.md": fidelity,
    "docs/machines.md": tables,
    "docs/traces.md": lambda: routing_parts(ROOT / "docs" / "data" / "routing.json"),
    "docs/papers.md": lambda: document.parts(PAPERS),
    "docs/images/papers.svg": lambda: document.drawing(PAPERS),
    "docs/findings.md": lambda: system_pages.parts("findings"),
    **{f"docs/systems/{name}.md": partial(system_pages.parts, name) for name in system_pages.DRAWN},
}


def filled(text: str, parts: Mapping[str, str]) -> str:
    """The document with its generated parts made anew."""
    for name, part in parts.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{part}\n{end}{rest.split(end)[1]}"
    return text


def remade() -> Iterator[tuple[Path, str]]:
    """Each document with what it takes from the program as it should be; first the generated parts."""
    for name, parts in DOCUMENTS.items():
        yield ROOT / name, filled((ROOT / name).read_text(encoding="utf-8"), parts())
    if "--check" not in sys.argv:
        for path in examples.documents():
            yield path, examples.current(path)


def main() -> int:
    """Write or check all documents; returns 1 if one was not current."""
    stale = []
    for path, text in remade():
        if text != path.read_text(encoding="utf-8"):
            stale.append(str(path.relative_to(ROOT)))
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    print(f"{'not current' if '--check' in sys.argv else 'written'}: {', '.join(stale) or 'none'}")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
