"""Numba: whether it is there to compile what has a compiled form, and where it keeps what it has compiled."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast

_ROOT = Path(__file__).parent
_KEPT = "numba-"
_COMPILED = re.compile(r"^from (numba|sim\.compiler) import", re.MULTILINE)
_IMPORTED = re.compile(r"^from sim\.([\w.]+) import", re.MULTILINE)


_Function = TypeVar("_Function", bound=Callable[..., Any])


def has_compiler() -> bool:
    """Whether Numba is installed."""
    return find_spec("numba") is not None


def compiled(function: _Function) -> _Function:
    """The function compiled at its first call, or, without Numba, as it is."""
    if not has_compiler():
        return function
    keep_by_sources()
    from numba import njit

    fast: Any = njit(cache=True, error_model="numpy")(function)
    return cast(_Function, fast)


def without_compiler(what: str) -> str | None:
    """A line for the user if `what` has to run in plain Python, else None."""
    if has_compiler():
        return None
    return f"Numba is not installed: {what} in plain Python, a hundred times slower; pip install 'moesim[fast]'"


def keep_by_sources(root: Path = _ROOT) -> None:
    """Let Numba keep what it compiles in a folder named by the sources, unless NUMBA_CACHE_DIR names another.

    By itself it looks at the file of each function alone: one that calls a function of another file, or takes a
    constant from there, would stay as it was when that file changes. To be called before a function is decorated.
    """
    from numba import config

    if "NUMBA_CACHE_DIR" in os.environ or not os.access(root, os.W_OK):
        return
    folder = root / "__pycache__" / (_KEPT + _digest(root))
    for stale in folder.parent.glob(f"{_KEPT}*"):
        if stale != folder:
            shutil.rmtree(stale, ignore_errors=True)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]


def _digest(root: Path) -> str:
    """Of every module that compiles something, of what these import, and so on."""
    sources = {path.relative_to(root): path.read_text(encoding="utf-8") for path in root.rglob("*.py")}
    todo = [path for path, text in sources.items() if _COMPILED.search(text)]
    needed = set(todo)
    while todo:
        for module in _IMPORTED.findall(sources[todo.pop()]):
            path = Path(*module.split("."))
            found = {path.with_suffix(".py"), path / "__init__.py"} & sources.keys() - needed
            needed |= found
            todo += found
    digest = hashlib.sha256()
    for path in sorted(needed):
        digest.update(f"{path.as_posix()}\0{sources[path]}\0".encode())
    return digest.hexdigest()[:16]
