"""A page in a real browser, where there is one: what a script added to it tells of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
_QUIET = ("--headless", "--no-sandbox", "--no-first-run", "--disable-sync", "--disable-background-networking")
_NO_GPU = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-component-update")


def told(folder: Path, html: str, reader: str, width: int = 1280, *, patience_s: float = 300) -> Any:
    """Open a page, run the body of an async function in it, and return what that returns; fails on any complaint."""
    page = folder / "page.html"
    script = (
        "<script>(async () => { const said = document.createElement('output'); said.id = 'told';"
        f" said.textContent = JSON.stringify(await (async () => {{ {reader} }})()); document.body.append(said); }})();"
        "</script>"
    )
    page.write_text(html.replace("</body>", f"{script}</body>"), encoding="utf-8")
    command = [
        *(str(CHROMIUM), *_QUIET, *_NO_GPU, "--enable-logging=stderr", "--virtual-time-budget=20000"),
        *(f"--window-size={width},900", f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience_s, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    text = done.stdout.rsplit('<output id="told">', 1)[1].split("</output>")[0]
    return json.loads(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
