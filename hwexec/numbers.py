"""Whether a device computes what it should: a routed expert's output against the same in float64."""

from __future__ import annotations

import torch

from hwexec.kernels import expert
from hwexec.workspace import Workspace, computed_in, dtype_of, random_tensor
from sim.model import MoEModel
from sim.shapes import kernel_shape

TOLERANCE = {torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 2e-2}  # fp32: tensor cores may use tf32
_TOKENS = 3


def expert_error(model: MoEModel, precision: str, device: torch.device) -> float:
    """‖out − reference‖ / ‖reference‖ of a routed expert on a few tokens; what is not finite counts as infinite."""
    dtype = dtype_of(computed_in(precision))
    space = Workspace(dtype, device, seed=7)
    shape = kernel_shape(model, "expert", model.moe_layers[0], 0)
    weights = random_tensor(model.expert_params, dtype, device, seed=8)
    space.take("out", _TOKENS, model.hidden).fill_(float("nan"))  # so that what is not written shows
    with torch.inference_mode():
        expert(weights, shape, _TOKENS, space)()
    x = space.take("x", _TOKENS, model.hidden).double().cpu()
    out = space.take("out", _TOKENS, model.hidden).double().cpu()
    reference = expert_reference(x, weights.double().cpu(), shape)
    error = float((out - reference).norm() / reference.norm())
    return error if error == error else float("inf")


def expert_reference(x: torch.Tensor, weights: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The FFN written plainly, in the precision of its inputs."""
    hidden, inner, matrices = shape
    wide = (matrices - 1) * inner
    raised = x @ weights[: wide * hidden].view(wide, hidden).t()
    if matrices == 3:
        gated, linear = raised[:, :inner], raised[:, inner:]
        raised = gated * torch.sigmoid(gated) * linear
    else:
        raised = raised.clamp(min=0)
    return raised @ weights[wide * hidden : (wide + inner) * hidden].view(hidden, inner).t()
