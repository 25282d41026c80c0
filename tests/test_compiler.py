"""What Numba compiled is kept for exactly as long as nothing that it was made from has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim import compiler
from sim.compiler import keep_by_sources

numba = pytest.importorskip("numba", reason="needs the extra fast")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "outer.py").write_text("from numba import njit\n\nfrom sim.kernels.inner import f\n")
    (tmp_path / "kernels" / "inner.py").write_text("from sim.codes import ONE\n\ndef f(): ...\n")
    (tmp_path / "codes.py").write_text("ONE = 1\n")
    (tmp_path / "plots.py").write_text("COLOUR = 'red'\n")
    return tmp_path


@pytest.mark.parametrize(("changed", "anew"), [
    ("kernels/outer.py", True), ("kernels/inner.py", True), ("codes.py", True), ("plots.py", False),
])  # fmt: skip
def test_a_change_of_what_compiled_code_is_made_from_gives_it_another_folder(
    root: Path, changed: str, anew: bool
) -> None:
    before = compiler._digest(root)
    (root / changed).write_text((root / changed).read_text() + "# changed\n")
    assert (compiler._digest(root) != before) is anew


def test_the_folder_of_older_sources_is_removed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    keep_by_sources(root)
    first = Path(numba.config.CACHE_DIR)
    assert first.is_dir()
    assert first.parent == root / "__pycache__"
    keep_by_sources(root)
    assert first.is_dir()
    (root / "codes.py").write_text("ONE = 2\n")
    keep_by_sources(root)
    assert not first.exists()
    assert Path(numba.config.CACHE_DIR).is_dir()


def test_a_folder_that_the_user_names_is_left_to_him(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "elsewhere")
    keep_by_sources(root)
    assert numba.config.CACHE_DIR == "elsewhere"
    assert not (root / "__pycache__").exists()


@pytest.mark.parametrize("kernel", ["sim.retiming.fifo", "sim.planning.kernels.issue", "sim.replay.kernels.queue"])
def test_every_room_of_kernels_keeps_them_there(kernel: str) -> None:
    asked = f"import {kernel}, numba; print(numba.config.CACHE_DIR)"
    plain = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    printed = subprocess.run([sys.executable, "-c", asked], env=plain, capture_output=True, text=True, check=True)
    assert Path(printed.stdout.strip()).name.startswith("numba-")
