"""The routers of Hugging Face MoE models: where they are, and how to read what they return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import InputError
from sim.trace import ExpertIds, id_dtype


@dataclass(frozen=True)
class Decision:
    """What a router decided: `ids` and `weights` [token, k], best first; the dtype's highest id is a dropped token."""

    ids: ExpertIds
    weights: NDArray[np.float32]
    n_experts: int


@dataclass(frozen=True)
class Stack:
    """Consecutive MoE layers that a token's state runs through; `first` is the number of the first of them."""

    first: int
    routers: Sequence[Any]
    read: Callable[[Any], Decision]


def stacks_of(model: Any) -> list[Stack]:
    """The MoE layers of a model: one stack, or two of an encoder–decoder model; raises InputError if it has none.

    Known are the routers of transformers 5, which name themselves `…Router`: most return logits, weights and ids
    (Mixtral, OLMoE, Qwen, DeepSeek, Phi-MoE, gpt-oss, …), those of Switch Transformers a one-hot choice.
    """
    found = [(name, module) for name, module in model.named_modules() if type(module).__name__.endswith("Router")]
    if not found:
        raise InputError(
            "has no router that is known", field="--model", value=type(model).__name__,
            remedy="give a Mixture-of-Experts model; older versions of transformers (below 5) are not supported",
        )  # fmt: skip
    halves: dict[str, list[Any]] = {}
    for name, module in found:
        halves.setdefault("encoder" if name.startswith("encoder.") else "decoder", []).append(module)
    stacks: list[Stack] = []
    for routers in halves.values():
        read = _read_one_hot if "Top1Router" in type(routers[0]).__name__ else _read_top_k
        stacks.append(Stack(sum(len(stack.routers) for stack in stacks), routers, read))
    return stacks


def _read_top_k(output: Any) -> Decision:
    logits, weights, ids = output
    n_experts = int(logits.shape[-1])
    k = ids.shape[-1]
    return Decision(
        ids.reshape(-1, k).cpu().numpy().astype(id_dtype(n_experts)),
        weights.reshape(-1, k).float().cpu().numpy(),
        n_experts,
    )


def _read_one_hot(output: Any) -> Decision:
    """[batch, token, expert]; all zero where an expert's capacity was exceeded, so that the token skips the layer."""
    choice, weights, _ = output
    n_experts = int(choice.shape[-1])
    dtype = id_dtype(n_experts)
    ids = choice.argmax(-1).reshape(-1, 1).cpu().numpy().astype(dtype)
    ids[choice.sum(-1).reshape(-1, 1).cpu().numpy() == 0] = np.iinfo(dtype).max
    return Decision(ids, weights.reshape(-1, 1).float().cpu().numpy(), n_experts)
