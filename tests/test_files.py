from __future__ import annotations

from pathlib import Path

import pytest

from sim.errors import InputError
from sim.files import replacing, write_text


def test_text_is_written_with_the_folders_it_needs(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "out.txt", "é\n")
    assert (tmp_path / "a" / "b" / "out.txt").read_bytes() == "é\n".encode()


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    write_text(target, "old")

    def write_half() -> None:
        with replacing(target) as draft:
            draft.write_text("ne")
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_nobody_sees_the_target_before_the_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    with replacing(target) as draft:
        draft.write_text("new")
        assert not target.exists()
        assert draft.parent == target.parent, "renaming across file systems is not atomic"
    assert target.read_text() == "new"


def test_whoever_reads_the_old_file_keeps_it_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "out.txt", "old")
    with (tmp_path / "out.txt").open() as reader:
        write_text(tmp_path / "out.txt", "new, and longer")
        assert reader.read() == "old"
    assert (tmp_path / "out.txt").read_text() == "new, and longer"


def test_a_file_in_place_of_the_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "out.txt", tmp_path / "file" / "deeper" / "out.txt"):
        with pytest.raises(InputError, match=r"out\.txt: cannot be written: .+; choose a folder you may write to"):
            write_text(path, "x")


def test_a_folder_in_place_of_the_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "out.txt").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "out.txt", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_a_name_that_is_too_long_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / ("n" * 300), "x")


def test_a_path_without_a_name_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        write_text(".", "x")
    assert not list(tmp_path.iterdir())
