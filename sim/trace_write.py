"""Writing a trace part by part, so that one of any size can be made without being held in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sim.errors import FormatError, InputError
from sim.trace import RoutingTrace


def save_parts(path: str | Path, parts: Iterable[RoutingTrace], provenance: dict[str, Any] | None = None) -> None:
    """Write all sequences of the parts, in order, as one trace file, atomically; the same bytes as saving them joined.

    Holds one part at a time; takes the size of the trace a second time on the disk while it writes. `provenance` is
    the first part's by default. Raises InputError if there is no part or the folder cannot be written to, FormatError
    if a part is of another model or has other columns than the first.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
            spill = _Spill(Path(folder))
            with ExitStack() as files:
                for number, part in enumerate(parts):
                    spill.add(number, part, files)
            spill.trace(provenance).save(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot be written: {reason}", file=path, remedy="choose a folder you may write to"
        ) from error


class _Spill:
    """One growing file a column, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._first: RoutingTrace | None = None
        self._lengths: list[NDArray[np.int64]] = []
        self._prompts: list[NDArray[np.int64]] = []

    def add(self, number: int, part: RoutingTrace, files: ExitStack) -> None:
        """Append a part to the files, which `files` will close."""
        columns = part.columns()
        if self._first is None:
            self._first = part.rows(slice(0, 0), np.zeros(1, np.int64), np.zeros(0, np.int64))
            self._files = {name: files.enter_context((self._folder / name).open("wb")) for name in columns}
        if _kind(part) != _kind(self._first):
            complaint = f"is not of the same model and columns as the first: {_kind(part)}, not {_kind(self._first)}"
            raise FormatError(complaint, field=f"part {number}")
        for name, values in columns.items():
            np.ascontiguousarray(values).tofile(self._files[name])
        self._lengths.append(np.diff(part.offsets))
        self._prompts.append(part.prompt_tokens)

    def trace(self, provenance: dict[str, Any] | None) -> RoutingTrace:
        """All that was added, mapped."""
        if self._first is None:
            raise InputError("no parts to write", field="parts")
        lengths = np.concatenate(self._lengths)
        columns: dict[str, Any] = {
            name: self._mapped(name, values, int(lengths.sum())) for name, values in self._first.columns().items()
        }
        return RoutingTrace(
            **columns,
            offsets=np.cumsum(np.concatenate([[0], lengths])).astype(np.int64),
            prompt_tokens=np.concatenate(self._prompts),
            n_experts=self._first.n_experts,
            provenance=self._first.provenance if provenance is None else provenance,
        )

    def _mapped(self, name: str, like: NDArray[Any], n_tokens: int) -> NDArray[Any]:
        shape = (n_tokens, *like.shape[1:])
        if not n_tokens:
            return np.empty(shape, like.dtype)
        return np.memmap(self._folder / name, like.dtype, "r", shape=shape)


def _kind(part: RoutingTrace) -> dict[str, Any]:
    """What all parts have to share."""
    columns = {name: f"{values.dtype} {list(values.shape[1:])}" for name, values in part.columns().items()}
    return {"n_experts": part.n_experts, **columns}
