"""The one way tables are kept on disk: Arrow IPC files, which load as memory-mapped arrays unless compressed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import FormatError
from sim.files import replacing
from sim.inputs import existing

if TYPE_CHECKING:
    import pyarrow as pa

_KIND, _VERSION, _META = b"moesim.kind", b"moesim.version", b"moesim.meta"


@dataclass(frozen=True, eq=False, slots=True)
class Ragged:
    """Rows of different lengths: row i is `values[offsets[i]:offsets[i + 1]]`; values may be 1-D or 2-D."""

    offsets: NDArray[np.int64]
    values: NDArray[Any]

    def __post_init__(self) -> None:
        if self.offsets.ndim != 1 or not len(self.offsets) or self.offsets[0] != 0:
            raise ValueError("offsets must be one-dimensional and start with 0")
        if self.offsets[-1] != len(self.values):
            raise ValueError(f"offsets end at {self.offsets[-1]}, but there are {len(self.values)} values")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]


def write_table(
    path: str | Path,
    *,
    kind: str,
    version: int,
    columns: Mapping[str, NDArray[Any] | Ragged],
    meta: Mapping[str, Any],
    compress: bool = False,
) -> None:
    """Write columns of equal length as one Arrow file, atomically; equal inputs give equal bytes.

    Columns are boolean, integer or floating arrays, 1-D or 2-D (a fixed-size list a row), or `Ragged` (a list
    a row). `meta` is anything JSON can say. What is compressed is smaller, but read as a whole when it is opened.
    Raises InputError if the file cannot be written.
    """
    import pyarrow as pa

    arrays = {name: _to_arrow(column) for name, column in columns.items()}
    metadata = {
        _KIND: kind.encode(),
        _VERSION: str(version).encode(),
        _META: json.dumps(meta, sort_keys=True, separators=(",", ":"), allow_nan=False).encode(),
    }
    batch = pa.record_batch(arrays).replace_schema_metadata(metadata)
    options = pa.ipc.IpcWriteOptions(allow_64bit=True, compression="zstd" if compress else None)
    with (
        replacing(path) as draft,
        pa.OSFile(str(draft), "wb") as sink,
        pa.ipc.new_file(sink, batch.schema, options=options) as writer,
    ):
        writer.write_batch(batch)


def read_table(path: str | Path, *, kind: str, version: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Map a file that `write_table` wrote; returns its columns (read-only arrays or `Ragged`) and its meta.

    Nothing is copied or read until it is used, booleans apart. Raises InputError if there is no such file and
    FormatError if it is truncated, of another kind or of a newer version.
    """
    import pyarrow as pa

    try:
        table = pa.ipc.open_file(pa.memory_map(str(existing(path)))).read_all()
    except (pa.ArrowException, OSError) as error:
        raise FormatError(
            f"truncated or not an Arrow file: {error}", file=path, remedy=f"give a {kind} file made by moesim"
        ) from error
    meta = _read_meta(path, table.schema.metadata or {}, kind, version)
    try:
        columns = {
            name: _to_numpy(_one_chunk(column)) for name, column in zip(table.column_names, table.columns, strict=True)
        }
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise FormatError(f"damaged: {error}", file=path, remedy=f"make the {kind} file again") from error
    return columns, meta


def _read_meta(path: str | Path, found: Mapping[bytes, bytes], kind: str, version: int) -> dict[str, Any]:
    found_kind = found.get(_KIND, b"something not made by moesim").decode(errors="replace")
    if found_kind != kind:
        raise FormatError(f"expected a {kind}, found {found_kind}", file=path, remedy=f"give a {kind} file")
    try:
        found_version = int(found[_VERSION])
        meta: dict[str, Any] = json.loads(found[_META])
    except (KeyError, ValueError) as error:
        raise FormatError("its header is damaged", file=path, remedy=f"make the {kind} file again") from error
    if found_version > version:
        raise FormatError(
            f"{kind} format version {found_version} is newer than {version}, the newest known here",
            file=path,
            remedy="update moesim",
        )
    return meta


def _to_arrow(column: NDArray[Any] | Ragged) -> pa.Array:
    import pyarrow as pa

    if isinstance(column, Ragged):
        if (np.diff(column.offsets) < 0).any():
            raise ValueError("offsets of a ragged column must not decrease")
        return pa.LargeListArray.from_arrays(_to_arrow(column.offsets), _to_arrow(column.values))
    if column.dtype.kind not in "biuf" or column.ndim not in (1, 2) or 0 in column.shape[1:]:
        raise TypeError(f"cannot store an array of dtype {column.dtype} and shape {column.shape}")
    flat = pa.array(np.ascontiguousarray(column).reshape(-1))
    return flat if column.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, column.shape[1])


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _to_numpy(array: pa.Array) -> NDArray[Any] | Ragged:
    import pyarrow as pa

    if not pa.types.is_large_list(array.type):
        return _plain(array)
    if array.null_count:
        raise ValueError("empty cells")
    return Ragged(_plain(array.offsets), _plain(array.values))


def _plain(array: pa.Array) -> NDArray[Any]:
    import pyarrow as pa

    if array.null_count:
        raise ValueError("empty cells")
    if pa.types.is_fixed_size_list(array.type):
        return _plain(array.flatten()).reshape(-1, array.type.list_size)
    flat: NDArray[Any] = array.to_numpy(zero_copy_only=not pa.types.is_boolean(array.type))
    flat.flags.writeable = False
    return flat
