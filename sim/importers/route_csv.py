"""Route traces of BigMoeOnEdge: the routing of one run, and what its expert cache did, row by row.

Format: "route_trace v1" in the telemetry documentation of github.com/Helldez/BigMoeOnEdge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.errors import FormatError
from sim.inputs import read_text
from sim.trace import RoutingTrace, id_dtype
from sim.workload import accesses

_MAGIC = "# route_trace v1"
_COLUMNS = ("turn", "phase", "step", "layer", "slot", "expert", "weight", "residency", "expert_bytes")
_REMEDY = "give a whole route trace (v1) as BigMoeOnEdge writes it"
_MAX_STEP = 2**31


@dataclass(frozen=True, eq=False, slots=True)
class RouteRecord:
    """A recorded run: its routing, the bytes of one expert of each layer, and where each routed expert was found.

    `residency` [token, layer, k] is 0 for a miss, 1 for a hit, 2 for a hit on a prefetched expert. `read_bytes`, of
    the same shape, is what the routing made the engine read: a prefill batch reads an expert once, for its first
    token. `layers` are the block numbers of the MoE layers in the model.
    """

    trace: RoutingTrace
    layers: tuple[int, ...]
    expert_bytes: NDArray[np.int64]
    residency: NDArray[np.uint8]
    read_bytes: NDArray[np.int64]

    @property
    def hit_rate(self) -> float:
        """Share of accesses without a read, as recorded; an access is one expert of one layer in one pass."""
        n_accesses = sum(len(set(keys)) for keys in accesses(self.trace))
        return 1 - np.count_nonzero(self.read_bytes) / n_accesses


def read_route_csv(path: str | Path) -> RouteRecord:
    """Read a route trace: a turn is a sequence, its prefill the prompt. Raises FormatError naming the line."""
    try:
        record = _parse(read_text(path, _REMEDY))
    except _FaultError as fault:
        field = None if fault.line is None else f"line {fault.line}"
        raise FormatError(str(fault), file=path, field=field, remedy=_REMEDY) from fault
    record.trace.validate(path)
    return record


class _FaultError(Exception):
    def __init__(self, complaint: str, line: int | None = None) -> None:
        super().__init__(complaint)
        self.line = line


@dataclass(frozen=True, eq=False, slots=True)
class _Header:
    model: str
    n_experts: int
    top_k: int
    expert_bytes: dict[int, int]
    lines: int


@dataclass(frozen=True, eq=False, slots=True)
class _Rows:
    """Values of the rows by column, and the line of the first row."""

    values: dict[str, NDArray[np.float64]]
    first_line: int

    def integers(self, name: str, limit: int) -> NDArray[np.int64]:
        """One column of whole numbers below the limit."""
        column = self.values[name]
        self.refuse(~((column >= 0) & (column < limit) & (column % 1 == 0)), f"{name} must be from 0 to {limit - 1}")
        return column.astype(np.int64)

    def refuse(self, at_fault: NDArray[np.bool_], complaint: str) -> None:
        """Complain about the first row at fault, if any."""
        if at_fault.any():
            raise _FaultError(complaint, self.first_line + int(at_fault.argmax()))


def _parse(text: str) -> RouteRecord:
    lines = text.splitlines()
    if not lines or lines[0].strip() != _MAGIC:
        raise _FaultError(f"must start with {_MAGIC!r}", 1)
    if not text.endswith("\n"):
        raise _FaultError("the last line is cut off", len(lines))
    header = _parse_header(lines)
    return _assemble(header, _parse_rows(lines, header.lines))


def _parse_header(lines: list[str]) -> _Header:
    """The comment lines: the model, and the bytes of an expert of each layer."""
    count = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    run = re.fullmatch(r"# model=(.*) arch=.* n_expert=(\d+) n_expert_used=(\d+)\b.*", lines[1] if count > 1 else "")
    if not run or not 0 < int(run[3]) <= int(run[2]) < np.iinfo(np.uint16).max:
        raise _FaultError("must name model, n_expert and n_expert_used", 2)
    sizes = [re.match(r"# layer=(\d+) expert_bytes=(\d+)\b", line) for line in lines[2:count]]
    return _Header(
        model=run[1],
        n_experts=int(run[2]),
        top_k=int(run[3]),
        expert_bytes={int(size[1]): int(size[2]) for size in sizes if size},
        lines=count,
    )


def _parse_rows(lines: list[str], start: int) -> _Rows:
    """The table, read by column name because later versions append columns."""
    names = lines[start].split(",") if start < len(lines) else []
    for name in _COLUMNS:
        if name not in names:
            raise _FaultError(f"no column {name}", start + 1)
    if len(lines) == start + 1:
        raise _FaultError("no rows", start + 1)
    places = [names.index(name) for name in _COLUMNS]
    cells = np.empty((len(lines) - start - 1, len(_COLUMNS)))
    for row, line in enumerate(lines[start + 1 :]):
        fields = line.split(",")
        if len(fields) != len(names):
            raise _FaultError(f"{len(fields)} columns instead of {len(names)}", start + 2 + row)
        try:
            cells[row] = [float(fields[place]) for place in places]
        except ValueError as error:
            raise _FaultError("not all numbers", start + 2 + row) from error
    return _Rows(dict(zip(_COLUMNS, cells.T, strict=True)), start + 2)


@dataclass(frozen=True, eq=False, slots=True)
class _Grid:
    """Where the rows belong: `token` of each row, and `place` of each in a flat [token, layer, k]."""

    positions: NDArray[np.int64]  # of the tokens, as turn * _MAX_STEP + step
    blocks: NDArray[np.int64]  # of the layers
    top_k: int
    token: NDArray[np.int64]
    place: NDArray[np.int64]

    def spread(self, values: NDArray[np.float64] | NDArray[np.int64], fill: int) -> NDArray[np.float64]:
        """Put a column in its places: [token, layer, k]."""
        full = np.full((len(self.positions), len(self.blocks), self.top_k), fill, dtype=np.float64)
        full.ravel()[self.place] = values
        return full


def _assemble(header: _Header, rows: _Rows) -> RouteRecord:
    grid = _grid(header, rows)
    dtype = id_dtype(header.n_experts)
    missing = int(np.iinfo(dtype).max)
    ids = grid.spread(rows.integers("expert", header.n_experts), missing).astype(dtype)
    weights = grid.spread(rows.values["weight"], 0).astype(np.float32)
    is_decode, offsets, prompt_tokens = _sequences(rows, grid)
    _refuse_holes(ids == missing, is_decode, grid)
    blocks = grid.blocks.tolist()
    trace = RoutingTrace(
        ids=ids,
        offsets=offsets,
        prompt_tokens=prompt_tokens,
        n_experts=header.n_experts,
        weights=None if np.isnan(weights).any() else weights,
        provenance={"format": "BigMoeOnEdge route_trace v1", "model": header.model, "layers": blocks},
    )
    return RouteRecord(
        trace=trace,
        layers=tuple(blocks),
        expert_bytes=np.array([header.expert_bytes[block] for block in blocks], dtype=np.int64),
        residency=grid.spread(rows.integers("residency", 3), 0).astype(np.uint8),
        read_bytes=grid.spread(rows.integers("expert_bytes", 2**53), 0).astype(np.int64),
    )


def _grid(header: _Header, rows: _Rows) -> _Grid:
    blocks, layer = np.unique(rows.integers("layer", 2**15), return_inverse=True)
    rows.refuse(~np.isin(blocks, list(header.expert_bytes))[layer], "a layer that the header does not list")
    turn, step = rows.integers("turn", _MAX_STEP), rows.integers("step", _MAX_STEP)
    positions, token = np.unique(turn * _MAX_STEP + step, return_inverse=True)
    shape = (len(positions), len(blocks), header.top_k)
    place = np.ravel_multi_index((token, layer, rows.integers("slot", header.top_k)), shape)
    rows.refuse(~np.isin(np.arange(len(place)), np.unique(place, return_index=True)[1]), "repeats an earlier row")
    return _Grid(positions, blocks, header.top_k, token, place)


def _sequences(rows: _Rows, grid: _Grid) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """For each token whether it was decoded, and the offsets and prompt lengths of the turns."""
    n_tokens = len(grid.positions)
    phase = rows.integers("phase", 2)
    is_decode = np.zeros(n_tokens, dtype=bool)
    is_decode[grid.token] = phase == 1
    starts = np.unique(grid.positions // _MAX_STEP, return_index=True)[1]
    offsets = np.append(starts, n_tokens).astype(np.int64)
    prompt_tokens = np.add.reduceat(~is_decode, starts, dtype=np.int64)
    beyond_prompt = np.arange(n_tokens) >= np.repeat(offsets[:-1] + prompt_tokens, np.diff(offsets))
    rows.refuse((phase == 1) != beyond_prompt[grid.token], "prefill and decode are mixed up")
    return is_decode, offsets, prompt_tokens


def _refuse_holes(missing: NDArray[np.bool_], is_decode: NDArray[np.bool_], grid: _Grid) -> None:
    """Only the last layer may lack a token, and only of a prompt: llama.cpp computes just the rows it needs there."""
    excused = missing.all(axis=2) & ~is_decode[:, None] & (grid.blocks == grid.blocks[-1])
    for token, layer in np.argwhere(missing.any(axis=2) & ~excused)[:1]:
        turn, step = divmod(int(grid.positions[token]), _MAX_STEP)
        found = grid.top_k - int(missing[token, layer].sum())
        where = f"turn {turn}, step {step}, layer {grid.blocks[layer]}"
        raise _FaultError(f"{where} has {found} experts instead of {grid.top_k}")
