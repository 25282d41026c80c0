"""Logs of vLLM's routing, `moe_routes.jsonl`, as routing traces."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from sim.errors import FormatError
from sim.inputs import read_text
from sim.trace import RoutingTrace, id_dtype

_REMEDY = "give a whole log that starts with its meta record and has one route record a token and layer"
_ABOUT = ("model_id", "vllm_version", "torch_version", "device", "seed")


def import_vllm(path: str | Path) -> RoutingTrace:
    """Read JSON lines as loggers in vLLM's FusedMoE layer write them: a meta record, then a route a token and layer.

    vLLM has no such log of its own; this is the form that patches behind the variable VLLM_LOG_MOE share:
    {"type": "meta", "model_id", "layers_logged": [layer, …], "top_k", …} and
    {"type": "route", "req_id", "token_idx", "layer", "topk_ids": […], "topk_weights": […]}, weights being optional.
    A request is a sequence, its tokens in the order of their records: token_idx counts within the request, or, with
    some, within a batch. Phases are not told: all tokens count as decoded. `num_experts`, if the meta record has no
    such field, is the highest id + 1. Raises FormatError naming the line.
    """
    lines = read_text(path, _REMEDY).splitlines()
    meta = _parse_meta(path, lines)
    routes = _Routes(meta["layers_logged"], meta["top_k"])
    for number, line in enumerate(lines[1:], 2):
        record = _parse_line(path, number, line)
        if record.get("type") != "meta" and (complaint := routes.add(number, record)):
            raise _at_line(path, number, complaint)
    trace = _assemble(path, routes, meta)
    trace.validate(path)
    return trace


@dataclass(eq=False, slots=True)
class _Routes:
    """The route records, column by column."""

    layers: list[int]
    top_k: int
    line: list[int] = field(default_factory=list)
    request: list[int] = field(default_factory=list)  # by order of first appearance
    token: list[int] = field(default_factory=list)
    layer: list[int] = field(default_factory=list)  # its place in `layers`
    ids: list[list[int]] = field(default_factory=list)
    weights: list[list[float]] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)

    def add(self, number: int, record: dict[str, Any]) -> str | None:
        """Append one record; returns what is wrong with it, if anything."""
        ids, weights = record.get("topk_ids"), record.get("topk_weights")
        if record.get("type") != "route" or type(record.get("token_idx")) is not int or "req_id" not in record:
            return "not a route record with req_id, token_idx, layer and topk_ids"
        if record.get("layer") not in self.layers:
            return f"layer {record.get('layer')} is not among the layers logged, {self.layers}"
        if not _numbers(ids, self.top_k, int) or min(ids) < 0 or max(ids) >= np.iinfo(np.uint16).max:
            return f"topk_ids must be {self.top_k} expert ids"
        if len(set(ids)) < self.top_k:
            return "topk_ids has an expert twice"
        if (weights is None) != (len(self.weights) < len(self.ids)) and self.ids:
            return "some records have topk_weights and some have not"
        if weights is not None:
            if not _numbers(weights, self.top_k, float):
                return f"topk_weights must be {self.top_k} numbers"
            self.weights.append(weights)
        self.line.append(number)
        self.request.append(self.requests.setdefault(str(record["req_id"]), len(self.requests)))
        self.token.append(record["token_idx"])
        self.layer.append(self.layers.index(record["layer"]))
        self.ids.append(ids)
        return None


def _assemble(path: str | Path, routes: _Routes, meta: dict[str, Any]) -> RoutingTrace:
    """Put every record in its place."""
    if not routes.ids:
        raise FormatError("no route records", file=path, remedy=_REMEDY)
    n_layers, (request, layer) = len(routes.layers), (np.array(routes.request), np.array(routes.layer))
    counts = np.bincount(request * n_layers + layer, minlength=len(routes.requests) * n_layers).reshape(-1, n_layers)
    for at, place in np.argwhere(counts != counts.max(axis=1, keepdims=True))[:1]:
        complaint = f"layer {routes.layers[place]} has {counts[at, place]} of its {counts[at].max()} tokens"
        raise FormatError(complaint, file=path, field=f"request {list(routes.requests)[at]}", remedy=_REMEDY)
    offsets = np.concatenate([[0], np.cumsum(counts[:, 0])]).astype(np.int64)
    row = offsets[request] + _rank(request * n_layers + layer)
    _refuse_other_tokens(path, routes, row)
    ids = np.array(routes.ids)
    n_experts = meta.get("num_experts") or int(ids.max()) + 1
    for at in np.flatnonzero((ids >= n_experts).any(axis=1))[:1]:
        raise _at_line(path, routes.line[at], f"topk_ids must be below num_experts, {n_experts}")
    shape = (int(offsets[-1]), n_layers, routes.top_k)
    about = {name: meta[name] for name in _ABOUT if name in meta}
    return RoutingTrace(
        ids=_spread(ids, row, layer, shape).astype(id_dtype(n_experts)),
        offsets=offsets,
        prompt_tokens=np.zeros(len(offsets) - 1, np.int64),
        n_experts=n_experts,
        weights=_spread(np.array(routes.weights, np.float32), row, layer, shape) if routes.weights else None,
        provenance={
            "format": "vLLM moe_routes", "file": Path(path).name, "layers": routes.layers, "phases": "not told", **about
        },
    )  # fmt: skip


def _rank(key: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each record, how many before it have the same key."""
    order = np.argsort(key, kind="stable")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(key[order])) + 1])
    rank = np.empty(len(key), np.int64)
    rank[order] = np.arange(len(key)) - np.repeat(starts, np.diff(np.append(starts, len(key))))
    return rank


def _refuse_other_tokens(path: str | Path, routes: _Routes, row: NDArray[np.int64]) -> None:
    """The n-th record of each layer must be of the same token."""
    token = np.array(routes.token)
    first = np.full(int(row.max()) + 1, -1)
    first[row[::-1]] = token[::-1]
    for at in np.flatnonzero(token != first[row])[:1]:
        raise _at_line(path, routes.line[at], f"token_idx {token[at]} where another layer has {first[row[at]]}")


def _spread(values: Any, row: NDArray[np.int64], layer: NDArray[np.int64], shape: tuple[int, int, int]) -> Any:
    full = np.empty(shape, values.dtype)
    full[row, layer] = values
    return full


def _parse_meta(path: str | Path, lines: list[str]) -> dict[str, Any]:
    meta = _parse_line(path, 1, lines[0] if lines else "")
    layers, top_k, n_experts = meta.get("layers_logged"), meta.get("top_k"), meta.get("num_experts")
    if meta.get("type") != "meta" or not isinstance(layers, list) or not layers:
        raise _at_line(path, 1, "not a meta record with layers_logged and top_k")
    if not _numbers(layers, len(set(map(str, layers))), int):
        raise _at_line(path, 1, "layers_logged must be different layer numbers")
    most = np.iinfo(np.uint16).max - 1
    if not (type(top_k) is int and 0 < top_k <= most):
        raise _at_line(path, 1, f"top_k must be a number from 1 to {most}")
    if n_experts is not None and not (type(n_experts) is int and top_k <= n_experts <= most):
        raise _at_line(path, 1, f"num_experts must be a number from top_k to {most}")
    return meta


def _parse_line(path: str | Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _at_line(path, number, "not JSON, or cut off") from error
    if not isinstance(record, dict):
        raise _at_line(path, number, "not a JSON object")
    return record


def _numbers(values: Any, n: int, kind: type[int] | type[float]) -> TypeGuard[list[Any]]:
    """Whether this is a list of n numbers of a kind; whole ones pass as floats."""
    kinds = (int,) if kind is int else (int, float)
    return isinstance(values, list) and len(values) == n and all(type(value) in kinds for value in values)


def _at_line(path: str | Path, number: int, complaint: str) -> FormatError:
    return FormatError(complaint, file=path, field=f"line {number}", remedy=_REMEDY)
