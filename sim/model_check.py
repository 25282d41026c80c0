"""What must hold between the shapes of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.errors import InputError

if TYPE_CHECKING:
    from sim.model import MoEModel

_AT_LEAST_ONE = ("n_layers", "hidden", "vocab", "n_experts", "top_k", "expert_hidden")
_NOT_NEGATIVE = ("shared_hidden", "dense_hidden", "encoder_layers", "sliding_window")


def check_model(model: MoEModel) -> None:
    """Raise InputError, naming the first field that is out of range or contradicts another."""
    for field in _AT_LEAST_ONE:
        _need(model, field, getattr(model, field) >= 1, "must be at least 1")
    for field in _NOT_NEGATIVE:
        _need(model, field, getattr(model, field) >= 0, "must not be negative")
    model.attention.check()
    _need(model, "matrices", model.matrices in (2, 3), "must be 3 (gated FFN) or 2 (plain FFN)")
    _need(model, "top_k", model.top_k <= model.n_experts, f"there are only {model.n_experts} experts")
    encoder_fits = model.encoder_layers <= model.n_layers
    _need(model, "encoder_layers", encoder_fits, f"there are only {model.n_layers} blocks")
    _need(model, "moe_layers", bool(model.moe_layers), "must name at least one block")
    for field in ("moe_layers", "sliding_layers"):
        _check_blocks(model, field)
    dense = model.n_layers - model.n_moe_layers
    has_dense = model.dense_hidden > 0 or dense == 0
    _need(model, "dense_hidden", has_dense, f"must be given for the {dense} blocks without experts")
    has_shared = model.shared_hidden > 0 or not model.shared_gate
    _need(model, "shared_gate", has_shared, "there is no shared expert to gate")
    window = bool(model.sliding_window) == bool(model.sliding_layers)
    _need(model, "sliding_window", window, "goes together with sliding_layers")


def _check_blocks(model: MoEModel, field: str) -> None:
    blocks = getattr(model, field)
    _need(model, field, list(blocks) == sorted(set(blocks)), "must be ascending without repeats")
    inside = not blocks or (blocks[0] >= 0 and blocks[-1] < model.n_layers)
    _need(model, field, inside, f"must be block numbers from 0 to {model.n_layers - 1}")


def _need(model: MoEModel, field: str, holds: bool, message: str) -> None:
    if not holds:
        raise InputError(f"{model.name}: {message}", field=field, value=getattr(model, field))
