"""Training: reproducible, resumed where it was stopped, on a CPU or a GPU."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from hwexec.tinymoe.network import Geometry, TinyMoE
from sim.errors import FormatError
from sim.files import replacing, write_text

_EVERY = 100  # steps between checkpoints
_BALANCE = 0.01  # weight of the balance loss, as in Switch Transformers
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Recipe:
    """What training consists of: total tokens, their order, and how fast to learn."""

    tokens: int = 6_000_000
    batch: int = 16
    length: int = 128
    rate: float = 2e-3
    seed: int = 0

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return max(1, self.tokens // (self.batch * self.length))


def train(
    text: torch.Tensor, geometry: Geometry, recipe: Recipe, folder: Path, *, device: str = "cpu",
    progress: Progress = lambda text, share: None,
) -> TinyMoE:  # fmt: skip
    """Train on a stream of tokens and keep the model in `folder`; what is there already is gone on with.

    Equal arguments give equal models on the same machine and library. Raises FormatError if the folder holds another
    training.
    """
    torch.manual_seed(recipe.seed)
    model = TinyMoE(geometry).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.rate, betas=(0.9, 0.95), weight_decay=0.1)
    asked = {"geometry": asdict(geometry), "recipe": asdict(recipe)}
    done = _resume(folder, asked, model, optimiser)
    started, shown = time.monotonic(), done
    for step, batch in enumerate(_batches(text, recipe, done), done):
        for group in optimiser.param_groups:
            group["lr"] = _rate(recipe, step)
        loss = _step(model, optimiser, batch.to(device))
        if (step + 1) % _EVERY == 0 or step + 1 == recipe.steps:
            _save(folder, asked, model, optimiser, step + 1)
            rate = (step + 1 - shown) * recipe.batch * recipe.length / (time.monotonic() - started)
            progress(f"loss {loss:.3f}, {rate:.0f} tokens/s", (step + 1) / recipe.steps)
    return model.eval()


def load(folder: Path) -> TinyMoE:
    """The model that `train` left; raises FormatError if there is none."""
    try:
        model = TinyMoE(Geometry(**recipe(folder)["geometry"]))
        model.load_state_dict(torch.load(folder / "checkpoint.pt", weights_only=True)["model"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise FormatError(f"holds no trained model: {error}", file=folder, remedy="train one first") from error
    return model.eval()


def recipe(folder: Path) -> dict[str, Any]:
    """The geometry and the recipe of what is trained in a folder."""
    known: dict[str, Any] = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    return known


def perplexity(model: TinyMoE, text: torch.Tensor, length: int = 128) -> float:
    """exp of the mean loss over windows of a stream of tokens that the model has not seen."""
    windows = text[: (len(text) - 1) // length * length + 1]
    inputs, targets = windows[:-1].view(-1, length), windows[1:].view(-1, length)
    losses = []
    with torch.inference_mode():
        for some, wanted in zip(torch.split(inputs, 16), torch.split(targets, 16), strict=True):
            logits = model(some).logits
            losses.append(functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none"))
    return float(torch.cat(losses).mean().exp())


def _step(model: TinyMoE, optimiser: torch.optim.Optimizer, batch: torch.Tensor) -> float:
    out = model(batch[:, :-1])
    loss = functional.cross_entropy(out.logits.flatten(0, 1), batch[:, 1:].flatten())
    optimiser.zero_grad(set_to_none=True)
    (loss + _BALANCE * out.balance).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _batches(text: torch.Tensor, recipe: Recipe, done: int) -> Iterator[torch.Tensor]:
    """Windows [batch, length + 1] at places drawn from the seed, from step `done` on."""
    for step in range(done, recipe.steps):
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        starts = torch.randint(len(text) - recipe.length, (recipe.batch,), generator=generator)
        yield torch.stack([text[start : start + recipe.length + 1] for start in starts.tolist()])


def _rate(recipe: Recipe, step: int) -> float:
    """Up over the first twentieth, then down along a cosine to a tenth."""
    warm = max(1, recipe.steps // 20)
    if step < warm:
        return recipe.rate * (step + 1) / warm
    return recipe.rate * (0.1 + 0.45 * (1 + cos(pi * (step - warm) / max(1, recipe.steps - warm))))


def _resume(folder: Path, asked: dict[str, Any], model: TinyMoE, optimiser: torch.optim.Optimizer) -> int:
    """Steps that were done already; the model and the optimiser are as they were then."""
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / "recipe.json"
    if not (folder / "checkpoint.pt").is_file():
        write_text(known, json.dumps(asked, indent=1) + "\n")
        return 0
    if recipe(folder) != asked:
        raise FormatError("holds a model trained otherwise", file=folder, remedy="choose another folder")
    kept = torch.load(folder / "checkpoint.pt", weights_only=True)
    model.load_state_dict(kept["model"])
    optimiser.load_state_dict(kept["optimiser"])
    return int(kept["step"])


def _save(folder: Path, asked: dict[str, Any], model: TinyMoE, optimiser: torch.optim.Optimizer, step: int) -> None:
    with replacing(folder / "checkpoint.pt") as draft:
        torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step}, draft)
