"""Recording: running a Hugging Face MoE model over token sequences and keeping what its routers decide.

A layer's router is also shown, early, the state that each of the layers before it routes by: how well that predicts
its later decision is then recorded with the decision (`RoutingTrace.predicted`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwexec.routers import Decision, Stack, stacks_of
from sim.trace import ExpertIds, RoutingTrace, id_dtype

if TYPE_CHECKING:
    import torch

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """Tokens to run: the first `prompt` are the prompt, the others are decoded."""

    tokens: Sequence[int]
    prompt: int


@dataclass
class _Heard:
    """What the routers of one pass said, in order: [layer] of decisions, and [ahead][layer] of early ones."""

    decisions: dict[int, Decision] = field(default_factory=dict)
    early: dict[tuple[int, int], ExpertIds] = field(default_factory=dict)


def record(
    model: torch.nn.Module, requests: Sequence[Request], *, generate: int = 0, ahead: int = 0,
    progress: Progress = lambda text: None,
) -> RoutingTrace:  # fmt: skip
    """Run all requests, one by one, and return the routing of every token.

    With `generate`, the model itself continues each request greedily, by so many tokens; they count as decoded.
    `ahead`: layers to look ahead (0: do not). Of an encoder–decoder model the encoder routes the prompt, and the
    decoder what it generates after its start token, which stands in the prompt's last row. Raises InputError for a
    model whose routers are not known.
    """
    import torch

    stacks = stacks_of(model)
    parts = []
    with torch.inference_mode():
        for number, request in enumerate(requests):
            progress(f"sequence {number + 1} of {len(requests)}")
            parts.append(_Run(model, stacks, ahead).run(request, generate))
    return _joined(parts, requests, _provenance(model, requests))


@dataclass
class _Part:
    """One sequence, recorded."""

    ids: ExpertIds
    weights: NDArray[np.float32]
    predicted: ExpertIds | None
    tokens: NDArray[np.int32]
    n_experts: int


class _Run:
    """One sequence through one model."""

    def __init__(self, model: Any, stacks: Sequence[Stack], ahead: int) -> None:
        self._model, self._stacks, self._ahead = model, stacks, ahead
        self._passes: list[_Heard] = []

    def run(self, request: Request, generate: int) -> _Part:
        """Run it and put together what was heard."""
        if len(self._stacks) == 2:
            return self._encoder_decoder(request, generate)
        import torch

        device = next(self._model.parameters()).device
        tokens = list(request.tokens)
        with self._listening() as heard:
            out = self._model(input_ids=torch.tensor([tokens], device=device), use_cache=generate > 0)
        rows = [self._table(heard, len(tokens))]
        for _ in range(generate):
            tokens.append(int(out.logits[0, -1].argmax()))
            with self._listening() as heard:
                step = torch.tensor([tokens[-1:]], device=device)
                out = self._model(input_ids=step, past_key_values=out.past_key_values, use_cache=True)
            rows.append(self._table(heard, 1))
        return self._part(rows, tokens)

    def _encoder_decoder(self, request: Request, generate: int) -> _Part:
        """The prompt through the encoder; the decoder from its start token on, which joins the prompt's last row."""
        import torch

        device = next(self._model.parameters()).device
        tokens, produced = list(request.tokens), [_start_token(self._model)]
        with self._listening() as heard:
            encoded = self._model.get_encoder()(input_ids=torch.tensor([tokens], device=device))
        rows = [self._table(heard, len(tokens))]
        past: Any = None
        for number in range(generate + 1):
            with self._listening() as heard:
                step = torch.tensor([produced[-1:]], device=device)
                out = self._model(encoder_outputs=encoded, decoder_input_ids=step, past_key_values=past, use_cache=True)
            past = out.past_key_values
            produced.append(int(out.logits[0, -1].argmax()))
            table = self._table(heard, 1)
            if number:
                rows.append(table)
            else:
                rows[0] = _merged_last(rows[0], table)
        return self._part(rows, [*tokens, *produced[1 : generate + 1]])

    @contextmanager
    def _listening(self) -> Iterator[_Heard]:
        """Hear all routers for the length of one pass."""
        heard, handles = _Heard(), []
        for stack in self._stacks:
            for place, router in enumerate(stack.routers):
                handles.append(router.register_forward_hook(self._ear(heard, stack, place)))
        try:
            yield heard
        finally:
            for handle in handles:
                handle.remove()

    def _ear(self, heard: _Heard, stack: Stack, place: int) -> Callable[[Any, Any, Any], None]:
        def listen(router: Any, inputs: tuple[Any, ...], output: Any) -> None:
            heard.decisions[stack.first + place] = stack.read(output)
            for ahead in range(1, min(self._ahead, len(stack.routers) - 1 - place) + 1):
                later = stack.routers[place + ahead]
                heard.early[ahead, stack.first + place + ahead] = stack.read(later.forward(inputs[0])).ids

        return listen

    def _table(self, heard: _Heard, n_tokens: int) -> dict[str, Any]:
        """[token, layer, k] of one pass; layers that did not run are missing."""
        some = next(iter(heard.decisions.values()))
        n_layers = sum(len(stack.routers) for stack in self._stacks)
        dtype, k = id_dtype(some.n_experts), some.ids.shape[1]
        missing = np.iinfo(dtype).max
        ids = np.full((n_tokens, n_layers, k), missing, dtype)
        weights = np.zeros(ids.shape, np.float32)
        predicted = np.full((n_tokens, max(1, self._ahead), n_layers, k), missing, dtype)
        for layer, decision in heard.decisions.items():
            ids[:, layer], weights[:, layer] = decision.ids, decision.weights
        for (ahead, layer), early in heard.early.items():
            predicted[:, ahead - 1, layer] = early
        return {"ids": ids, "weights": weights, "predicted": predicted, "n_experts": some.n_experts}

    def _part(self, rows: Sequence[dict[str, Any]], tokens: Sequence[int]) -> _Part:
        ids, weights, predicted = (
            np.concatenate([row[name] for row in rows]) for name in ("ids", "weights", "predicted")
        )
        kept = predicted if self._ahead else None
        return _Part(ids, weights, kept, np.array(tokens, np.int32), rows[0]["n_experts"])


def _start_token(model: Any) -> int:
    """What a decoder begins with; T5's descendants begin with padding."""
    for config in (model.generation_config, model.config):
        for name in ("decoder_start_token_id", "pad_token_id"):
            if (token := getattr(config, name, None)) is not None:
                return int(token)
    return 0


def _merged_last(encoder: dict[str, Any], decoder: dict[str, Any]) -> dict[str, Any]:
    """The prompt's rows, the last of which takes the decoder layers of the first decoder step."""
    merged = dict(encoder)
    ran = decoder["ids"][0, :, 0] != np.iinfo(decoder["ids"].dtype).max
    merged["ids"][-1, ran], merged["weights"][-1, ran] = decoder["ids"][0, ran], decoder["weights"][0, ran]
    merged["predicted"][-1, :, ran] = decoder["predicted"][0, :, ran]
    return merged


def _joined(parts: Sequence[_Part], requests: Sequence[Request], provenance: dict[str, Any]) -> RoutingTrace:
    offsets = np.cumsum([0, *(len(part.ids) for part in parts)]).astype(np.int64)
    predicted = [part.predicted for part in parts if part.predicted is not None]
    return RoutingTrace(
        ids=np.concatenate([part.ids for part in parts]),
        offsets=offsets,
        prompt_tokens=np.array([request.prompt for request in requests], np.int64),
        n_experts=parts[0].n_experts,
        weights=np.concatenate([part.weights for part in parts]),
        provenance=provenance,
        token_ids=np.concatenate([part.tokens for part in parts]),
        predicted=np.concatenate(predicted) if predicted else None,
    )


def _provenance(model: Any, requests: Sequence[Request]) -> dict[str, Any]:
    """What ran on what; prompts as digests, so that a trace tells whether it is of the same text, not the text."""
    import torch
    import transformers

    config = model.config
    digests = [hashlib.sha256(np.array(request.tokens, np.int32).tobytes()).hexdigest()[:16] for request in requests]
    return {
        "model": config.name_or_path or type(model).__name__,
        "architecture": type(model).__name__,
        "revision": getattr(config, "_commit_hash", None),
        "software": {"torch": torch.__version__, "transformers": transformers.__version__},
        "prompts_sha256": digests,
    }
