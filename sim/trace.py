"""RoutingTrace: which experts every token was routed to, layer by layer, and with which gate weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sim.columnar import Ragged, read_table, write_table
from sim.errors import FormatError
from sim.trace_check import check_content, check_shapes

FORMAT_VERSION = 1
_CHUNK_TOKENS = 65_536

ExpertIds = NDArray[np.unsignedinteger[Any]]


def id_dtype(n_experts: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Smallest dtype that holds the ids of `n_experts` experts and, as its highest value, "missing"."""
    return np.dtype(np.uint8 if n_experts <= np.iinfo(np.uint8).max else np.uint16)


@dataclass(frozen=True, eq=False, slots=True)
class RoutingTrace:
    """Routed experts `ids` [token, MoE layer, k] of consecutive sequences, in the router's order of preference.

    Sequence i owns the tokens `offsets[i]:offsets[i + 1]`; its first `prompt_tokens[i]` are its prompt (0: only the
    decode phase was recorded). `weights`, of the shape of `ids`, are the gate's weights, or None. The highest value
    of the dtype of `ids`, `missing`, marks what was not routed or not recorded: engines skip the last layer of all
    prompt tokens but one, for example. Layers count MoE layers only, from 0.

    The constructor checks shapes alone, so that a trace of any size loads at once; `validate` reads the content.
    Raises FormatError.
    """

    ids: ExpertIds
    offsets: NDArray[np.int64]
    prompt_tokens: NDArray[np.int64]
    n_experts: int
    weights: NDArray[np.float32] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

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
    def n_sequences(self) -> int:
        """Sequences, empty ones included."""
        return len(self.offsets) - 1

    @property
    def missing(self) -> int:
        """The id that marks a missing expert."""
        return int(np.iinfo(self.ids.dtype).max)

    def sequence(self, index: int) -> Self:
        """Return a view of one sequence as a trace of its own."""
        start, end = self.offsets[index], self.offsets[index + 1]
        return type(self)(
            ids=self.ids[start:end],
            offsets=np.array([0, end - start], dtype=np.int64),
            prompt_tokens=self.prompt_tokens[index : index + 1],
            n_experts=self.n_experts,
            weights=None if self.weights is None else self.weights[start:end],
            provenance=self.provenance,
        )

    def is_prompt(self) -> NDArray[np.bool_]:
        """Tell for every token whether it belongs to a prompt: [token]."""
        lengths = np.diff(self.offsets)
        position = np.arange(self.n_tokens) - np.repeat(self.offsets[:-1], lengths)
        prompt: NDArray[np.bool_] = position < np.repeat(self.prompt_tokens, lengths)
        return prompt

    def decode_only(self) -> Self:
        """Return the trace without its prompts: itself if there are none, else a copy."""
        if not self.prompt_tokens.any():
            return self
        kept = ~self.is_prompt()
        lengths = np.diff(self.offsets) - self.prompt_tokens
        return type(self)(
            ids=self.ids[kept],
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            prompt_tokens=np.zeros_like(self.prompt_tokens),
            n_experts=self.n_experts,
            weights=None if self.weights is None else self.weights[kept],
            provenance=self.provenance,
        )

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

    def save(self, path: str | Path) -> None:
        """Write one Arrow file (by custom `*.trace.arrow`), a row a sequence, atomically; equal traces, equal bytes."""
        columns: dict[str, Any] = {"prompt_tokens": self.prompt_tokens}
        for name, values in {"ids": self.ids, "weights": self.weights}.items():
            if values is not None:
                columns[name] = Ragged(self.offsets, values.reshape(self.n_tokens, self.n_layers * self.top_k))
        write_table(
            path,
            kind="trace",
            version=FORMAT_VERSION,
            columns=columns,
            meta={"n_experts": self.n_experts, "top_k": self.top_k, "provenance": self.provenance},
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Map what `save` wrote, without reading the tokens; raises FormatError if the file is anything else."""
        columns, meta = read_table(path, kind="trace", version=FORMAT_VERSION)
        try:
            ids, weights, top_k = columns["ids"], columns.get("weights"), meta["top_k"]
            shape = (len(ids.values), ids.values.shape[1] // top_k, top_k)
            return cls(
                ids=ids.values.reshape(shape),
                offsets=ids.offsets,
                prompt_tokens=columns["prompt_tokens"],
                n_experts=meta["n_experts"],
                weights=None if weights is None else weights.values.reshape(shape),
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
        arrays: dict[str, NDArray[Any]] = {
            "ids": self.ids,
            "offsets": self.offsets,
            "prompt_tokens": self.prompt_tokens,
        }
        return arrays if self.weights is None else arrays | {"weights": self.weights}
