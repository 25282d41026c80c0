from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from sim.columnar import Ragged, read_table, write_table
from sim.errors import FormatError, InputError

DTYPES = [np.bool_, *(np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64))]
FLOATS = [np.float16, np.float32, np.float64]


def round_trip(path: Path, column: NDArray[Any] | Ragged) -> Any:
    write_table(path, kind="test", version=1, columns={"x": column}, meta={})
    return read_table(path, kind="test", version=1)[0]["x"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.arrow"
    write_table(path, kind="trace", version=2, columns={"x": np.arange(100)}, meta={"b": 1, "a": ["é", None]})
    return path


@pytest.mark.parametrize("dtype", DTYPES + FLOATS, ids=str)
@pytest.mark.parametrize("shape", [(0,), (7,), (0, 3), (7, 3)], ids=str)
def test_values_shape_and_dtype_survive_exactly(tmp_path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    column = np.random.default_rng(1).integers(0, 2, shape).astype(dtype)
    loaded = round_trip(tmp_path / "t.arrow", column)
    assert loaded.dtype == column.dtype
    assert loaded.shape == shape
    assert loaded.tobytes() == column.tobytes()


@given(column=hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=2)))
def test_every_float_survives_bit_by_bit(tmp_path_factory: pytest.TempPathFactory, column: NDArray[Any]) -> None:
    loaded = round_trip(tmp_path_factory.getbasetemp() / "floats.arrow", column)
    assert loaded.tobytes() == column.tobytes()


@given(lengths=st.lists(st.integers(0, 4), max_size=8), width=st.sampled_from([None, 1, 3]))
def test_ragged_rows_survive(tmp_path_factory: pytest.TempPathFactory, lengths: list[int], width: int | None) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    total = int(offsets[-1])
    values = np.arange(total * (width or 1), dtype=np.uint16).reshape((total, width) if width else total)
    loaded = round_trip(tmp_path_factory.getbasetemp() / "ragged.arrow", Ragged(offsets, values))
    assert len(loaded) == len(lengths)
    assert loaded.values.dtype == np.uint16
    for row, length in enumerate(lengths):
        assert len(loaded[row]) == length
        assert np.array_equal(loaded[row], values[offsets[row] : offsets[row + 1]])


def test_non_contiguous_columns_are_stored_as_they_look(tmp_path: Path) -> None:
    column = np.arange(24).reshape(4, 6)[:, ::2]
    assert np.array_equal(round_trip(tmp_path / "t.arrow", column), column)


def test_columns_keep_their_order_and_meta_survives(table: Path) -> None:
    columns, meta = read_table(table, kind="trace", version=2)
    assert list(columns) == ["x"]
    assert meta == {"a": ["é", None], "b": 1}


def test_a_table_without_columns_survives(tmp_path: Path) -> None:
    write_table(tmp_path / "t.arrow", kind="test", version=1, columns={}, meta={"a": 1})
    assert read_table(tmp_path / "t.arrow", kind="test", version=1) == ({}, {"a": 1})


def test_equal_tables_give_equal_bytes_whatever_the_order_of_meta(tmp_path: Path, table: Path) -> None:
    again = tmp_path / "again.arrow"
    meta = {"a": ["é", None], "b": 1}
    write_table(again, kind="trace", version=2, columns={"x": np.arange(100)}, meta=meta)
    assert again.read_bytes() == table.read_bytes()


def test_loaded_arrays_are_a_read_only_view_of_the_file(table: Path) -> None:
    column = read_table(table, kind="trace", version=2)[0]["x"]
    assert not column.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 1


def test_an_older_version_is_read(table: Path) -> None:
    assert len(read_table(table, kind="trace", version=3)[0]["x"]) == 100


def test_a_newer_version_is_refused_with_the_remedy(table: Path) -> None:
    with pytest.raises(FormatError, match=r"t\.arrow: trace format version 2 is newer.*; update moesim"):
        read_table(table, kind="trace", version=1)


def test_another_kind_is_refused_by_name(table: Path) -> None:
    with pytest.raises(FormatError, match=r"t\.arrow: expected a schedule, found trace; give a schedule"):
        read_table(table, kind="schedule", version=2)


def test_somebody_elses_arrow_file_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa

    batch = pa.record_batch({"x": pa.array([1])})
    path = tmp_path / "alien.arrow"
    with pa.ipc.new_file(str(path), batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(FormatError, match="expected a trace, found something not made by moesim"):
        read_table(path, kind="trace", version=1)


def test_empty_cells_are_refused(tmp_path: Path, table: Path) -> None:
    import pyarrow as pa

    header = pa.ipc.open_file(str(table)).schema.metadata
    batch = pa.record_batch({"x": pa.array([1, None])}).replace_schema_metadata(header)
    path = tmp_path / "holes.arrow"
    with pa.ipc.new_file(str(path), batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(FormatError, match=r"holes\.arrow: damaged: empty cells"):
        read_table(path, kind="trace", version=2)


@pytest.mark.parametrize("kept", [0, 1, 8, 100, 0.5, -1])
def test_a_truncated_file_is_refused_in_one_line(table: Path, kept: float) -> None:
    whole = table.read_bytes()
    table.write_bytes(whole[: int(len(whole) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(FormatError, match=r"t\.arrow: .*; give a trace file") as error:
        read_table(table, kind="trace", version=2)
    assert "\n" not in str(error.value)


def test_a_text_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not Arrow at all\n" * 99)
    with pytest.raises(FormatError, match="truncated or not an Arrow file"):
        read_table(path, kind="trace", version=1)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.arrow: no such file"):
        read_table(tmp_path / "nowhere.arrow", kind="trace", version=1)


def test_a_failed_write_leaves_the_old_file_and_no_other(table: Path) -> None:
    before = table.read_bytes()
    with pytest.raises(TypeError, match="cannot store an array of dtype object"):
        write_table(table, kind="trace", version=2, columns={"x": np.array([object()])}, meta={})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_table(table, kind="trace", version=2, columns={}, meta={"a": float("nan")})
    assert table.read_bytes() == before
    assert list(table.parent.iterdir()) == [table]


def test_an_unwritable_place_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "t.arrow").mkdir()
    with pytest.raises(InputError, match=r"t\.arrow: cannot be written"):
        write_table(tmp_path / "t.arrow", kind="t", version=1, columns={}, meta={})
    assert len(list(tmp_path.iterdir())) == 1


def test_offsets_that_do_not_fit_the_values_are_refused() -> None:
    with pytest.raises(ValueError, match="offsets end at 3, but there are 2 values"):
        Ragged(np.array([0, 3]), np.zeros(2))
    with pytest.raises(ValueError, match="start with 0"):
        Ragged(np.array([1, 2]), np.zeros(2))


def test_decreasing_offsets_are_refused_when_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must not decrease"):
        round_trip(tmp_path / "t.arrow", Ragged(np.array([0, 3, 1, 4]), np.zeros(4)))
