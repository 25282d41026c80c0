"""RoutingTrace: which experts every token was routed to, layer by layer, and with which gate weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sim.columnar import Ragged, read_table, write_table
from sim.errors import FormatError
from sim.notebook import inputs, shown
from sim.trace_check import check_content, check_shapes

FORMAT_VERSION = 1
_CHUNK_TOKENS = 65_536

ExpertIds = NDArray[np.unsignedinteger[Any]]


def id_dtype(n_experts: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Smallest dtype that holds the ids of `n_experts` experts and, as its highest value, "missing"."""
    return np.dtype(np.uint8 if n_experts <= np.iinfo(np.uint8).max else np.uint16)


@shown(inputs.trace_card)
@dataclass(frozen=True, eq=False, slots=True)
class RoutingTrace:
    """Routed experts `ids` [token, MoE layer, k] of consecutive sequences, in the router's order of preference.

    Sequence i owns the tokens `offsets[i]:offsets[i + 1]`; its first `prompt_tokens[i]` are its prompt (0: only the
    decode phase was recorded). `weights`, of the shape of `ids`, are the gate's weights, or None. The highest value
    of the dtype of `ids`, `missing`, marks what was not routed or not recorded: engines skip the last layer of all
    prompt tokens but one, for example. Layers count MoE layers only, from 0.

    `token_ids` [token] are the model's own tokens, `predicted` [token, ahead, layer, k] what gates said early: at
    [:, d - 1, l] what layer l's gate makes of the state that layer l - d routes by. Both may be None.

    The constructor checks shapes alone, so that a trace of any size loads at once; `validate` reads the content.
    Raises FormatError.
    """

    ids: ExpertIds
    offsets: NDArray[np.int64]
    prompt_tokens: NDArray[np.int64]
    n_experts: int
    weights: NDArray[np.float32] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    token_ids: NDArray[np.int32] | None = None
    predicted: ExpertIds | None = None

    def __post_init__(self) -> None:
        check_shapes(self)

    @property
    def n_tokens(self) -> int:
        """Tokens of all sequences together."""
        return int(self.ids.shape[0])

    @property
    def n_layers(self) -> int:
        """MoE layers."""
        return int(self.ids.shape[1])

    @property
    def top_k(self) -> int:
        """Experts a token and layer."""
        return int(self.ids.shape[2])

    @property
    def ahead(self) -> int:
        """Layers ahead that predictions were recorded for; 0 if none were."""
        return 0 if self.predicted is None else int(self.predicted.shape[1])

    @property
    def n_sequences(self) -> int:
        """Sequences, empty ones included."""
        return len(self.offsets) - 1

    @property
    def missing(self) -> int:
        """The id that marks a missing expert."""
        return int(np.iinfo(self.ids.dtype).max)

    def columns(self) -> dict[str, NDArray[Any]]:
        """What has a row a token, by name: `ids`, and whichever of `weights`, `token_ids` and `predicted` there are."""
        optional = {"weights": self.weights, "token_ids": self.token_ids, "predicted": self.predicted}
        return {"ids": self.ids} | {name: values for name, values in optional.items() if values is not None}

    def sequence(self, index: int) -> Self:
        """Return a view of one sequence as a trace of its own."""
        return self.part(index, index + 1)

    def part(self, first: int, last: int) -> Self:
        """Return a view of the sequences `first` to `last`, exclusive, as a trace of their own."""
        start, end = int(self.offsets[first]), int(self.offsets[last])
        return self.rows(slice(start, end), self.offsets[first : last + 1] - start, self.prompt_tokens[first:last])

    def rows(
        self, chosen: slice | NDArray[np.bool_], offsets: NDArray[np.int64], prompt_tokens: NDArray[np.int64]
    ) -> Self:
        """Return some of the tokens, cut into sequences anew; a view if `chosen` is a slice."""
        columns: dict[str, Any] = {name: values[chosen] for name, values in self.columns().items()}
        return replace(self, **columns, offsets=offsets, prompt_tokens=prompt_tokens)

    def is_prompt(self) -> NDArray[np.bool_]:
        """Tell for every token whether it belongs to a prompt: [token]."""
        edges = np.zeros(self.n_tokens + 1, np.int8)
        np.add.at(edges, self.offsets[:-1], 1)
        np.add.at(edges, self.offsets[:-1] + self.prompt_tokens, -1)
        return np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)

    def decode_only(self) -> Self:
        """Return the trace without its prompts: itself if there are none, else a copy."""
        if not self.prompt_tokens.any():
            return self
        lengths = np.diff(self.offsets) - self.prompt_tokens
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return self.rows(~self.is_prompt(), offsets, np.zeros_like(self.prompt_tokens))

    def popularity(self, decode_only: bool = False) -> NDArray[np.int64]:
        """Count how often each expert was routed to: [layer, expert]."""
        counts = np.zeros((self.n_layers, self.n_experts), dtype=np.int64)
        prompt = self.is_prompt() if decode_only else None
        for start in range(0, self.n_tokens, _CHUNK_TOKENS):
            ids = self.ids[start : start + _CHUNK_TOKENS]
            if prompt is not None:
                ids = ids[~prompt[start : start + _CHUNK_TOKENS]]
            for layer in range(self.n_layers):
                found = np.bincount(ids[:, layer].ravel(), minlength=self.n_experts)
                counts[layer] += found[: self.n_experts]
        return counts

    def validate(self, file: str | Path | None = None) -> None:
        """Read all content, in chunks; raises FormatError naming `file` and the first token and layer at fault."""
        check_content(self, file)

    def save(self, path: str | Path, *, compress: bool = False) -> None:
        """Write one Arrow file (by custom `*.trace.arrow`), a row a sequence, atomically; equal traces, equal bytes.

        `compress` is for small traces that travel: such a file is read as a whole when it is loaded.
        """
        columns: dict[str, Any] = {"prompt_tokens": self.prompt_tokens}
        for name, values in self.columns().items():
            flat = values if values.ndim == 1 else values.reshape(self.n_tokens, prod(values.shape[1:]))
            columns[name] = Ragged(self.offsets, flat)
        write_table(
            path,
            kind="trace",
            version=FORMAT_VERSION,
            columns=columns,
            meta={"n_experts": self.n_experts, "top_k": self.top_k, "ahead": self.ahead, "provenance": self.provenance},
            compress=compress,
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Map what `save` wrote, without reading the tokens; raises FormatError if the file is anything else."""
        columns, meta = read_table(path, kind="trace", version=FORMAT_VERSION)
        try:
            top_k, ahead = meta["top_k"], meta.get("ahead", 0)
            n_tokens, width = columns["ids"].values.shape
            shape = (n_tokens, width // top_k, top_k)
            shapes = {
                "ids": shape,
                "weights": shape,
                "token_ids": shape[:1],
                "predicted": (n_tokens, ahead, *shape[1:]),
            }
            found = {name: columns[name].values.reshape(shapes[name]) for name in shapes if name in columns}
            return cls(
                **found,
                offsets=columns["ids"].offsets,
                prompt_tokens=columns["prompt_tokens"],
                n_experts=meta["n_experts"],
                provenance=meta["provenance"],
            )
        except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, FormatError) as error:
            raise FormatError(f"not a usable trace: {error}", file=path, remedy="import it again") from error

    def equal(self, other: RoutingTrace) -> bool:
        """Whether both say the same, provenance and dtypes included."""
        mine, theirs = self._arrays(), other._arrays()
        if (self.n_experts, self.provenance, list(mine)) != (other.n_experts, other.provenance, list(theirs)):
            return False
        return all(
            a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(mine.values(), theirs.values(), strict=True)
        )

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {**self.columns(), "offsets": self.offsets, "prompt_tokens": self.prompt_tokens}
