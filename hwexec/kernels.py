"""The kernels that calibration measures and execution runs: expert FFN, router, combination, LM head.

A kernel is built once for its sizes and weights and is then a call without arguments that writes to preallocated
buffers. Nothing here knows which device it runs on. Attention is in `hwexec.attention` and `hwexec.mla`.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from hwexec.backend import Task
from hwexec.workspace import Workspace
from sim.shapes import Shape


def expert(weights: torch.Tensor, shape: Shape, tokens: int, space: Workspace) -> Task:
    """An FFN of shape (hidden, intermediate, matrices): SwiGLU with 3 matrices, ReLU with 2.

    `weights` is flat: gate and up [2 × intermediate, hidden] (or up alone), then down [hidden, intermediate].
    """
    hidden, inner, matrices = shape
    wide = (matrices - 1) * inner
    up = weights[: wide * hidden].view(wide, hidden).t()
    down = weights[wide * hidden : (wide + inner) * hidden].view(hidden, inner).t()
    x, out = space.take("x", tokens, hidden), space.take("out", tokens, hidden)
    raised = space.take("raised", tokens, wide)
    if matrices == 2:

        def plain() -> None:
            torch.mm(x, up, out=raised)
            torch.relu_(raised)
            torch.mm(raised, down, out=out)

        return plain
    gated, linear = raised[:, :inner], raised[:, inner:]
    product = space.take("product", tokens, inner)

    def swiglu() -> None:
        torch.mm(x, up, out=raised)
        functional.silu(gated, inplace=True)
        torch.mul(gated, linear, out=product)
        torch.mm(product, down, out=out)

    return swiglu


def gate(router: torch.Tensor, norm: torch.Tensor, shape: Shape, top_k: int, tokens: int, space: Workspace) -> Task:
    """Norm, router of shape (hidden, experts), softmax and the `top_k` experts of each token."""
    hidden, experts = shape
    matrix = router[: hidden * experts].view(experts, hidden).t()
    x, logits = space.take("x", tokens, hidden), space.take("logits", tokens, experts)
    weights, ids = space.take("weights", tokens, top_k), space.take("ids", tokens, top_k, dtype=torch.int64)

    def run() -> None:
        torch.mm(functional.rms_norm(x, (hidden,), norm), matrix, out=logits)
        torch.softmax(logits, -1, out=logits)
        torch.topk(logits, top_k, out=(weights, ids))

    return run


def combine(hidden: int, outputs: int, tokens: int, space: Workspace) -> Task:
    """The residual plus `outputs` expert outputs, each scaled by its token's gate weight."""
    results = space.take("results", outputs, tokens, hidden)
    scales = space.take("scales", outputs, tokens, 1)
    residual, out = space.take("residual", tokens, hidden), space.take("out", tokens, hidden)

    def run() -> None:
        torch.addcmul(residual, results[0], scales[0], out=out)
        for i in range(1, outputs):
            out.addcmul_(results[i], scales[i])

    return run


def head(matrix: torch.Tensor, norm: torch.Tensor, shape: Shape, tokens: int, space: Workspace) -> Task:
    """Final norm, LM head of shape (hidden, vocabulary) and the likeliest token."""
    hidden, vocab = shape
    weights = matrix[: hidden * vocab].view(vocab, hidden).t()
    x, logits = space.take("x", tokens, hidden), space.take("logits", tokens, vocab)
    chosen = space.take("chosen", tokens, dtype=torch.int64)

    def run() -> None:
        torch.mm(functional.rms_norm(x, (hidden,), norm), weights, out=logits)
        torch.argmax(logits, -1, out=chosen)

    return run
