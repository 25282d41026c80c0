"""Which kernels of which sizes are measured for a model: series of growing tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.kernel_cost import OpSize
from sim.model import MoEModel
from sim.precision import Precisions
from sim.schedule import NO_EXPERT, Kind
from sim.shapes import Shape, kernel_precision, kernel_shape

TOKENS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
BATCHES = (1, 2, 4, 8, 16, 32)
PROMPTS = (2, 4, 8, 16, 32, 64, 128, 256, 512)
CONTEXTS = (16, 128, 512, 2048)
LANE_OF = {"gpu": "gpu0", "cpu": "cpu"}


@dataclass(frozen=True)
class Series:
    """One kernel of one exact shape on one device, over tokens; decode attention has a series a context.

    `layer` is a block of the model that has this kernel.
    """

    device: str
    kind: Kind
    phase: str
    shape: Shape
    precision: str
    context: int
    layer: int
    expert: int
    tokens: tuple[int, ...]

    @property
    def name(self) -> str:
        """Text that tells this series from all others of a machine."""
        shape = "x".join(map(str, self.shape))
        return f"{self.device} {self.kind.name.lower()} {self.phase} {shape} {self.precision} @{self.context}"

    def point(self, tokens: int) -> str:
        """Name of the samples at one number of tokens."""
        return f"{self.name} n{tokens}"

    def size(self, tokens: int) -> OpSize:
        """The op that is measured at one number of tokens."""
        decode = self.kind == Kind.ATTENTION and self.phase == "decode"
        context = tokens if self.phase == "prefill" else self.context
        return OpSize(self.layer, self.expert, tokens, context, sequences=tokens if decode else 1)


def series_of(model: MoEModel, precisions: Precisions) -> list[Series]:
    """All that a schedule of this model can ask for: every kernel on the GPU, routed experts on the CPU too."""
    found = {series.name: series for series in _all_series(model, precisions)}
    return list(found.values())


def _all_series(model: MoEModel, precisions: Precisions) -> Iterator[Series]:
    moe = model.moe_layers[0]
    dense = next((layer for layer in range(model.n_layers) if model.moe_index(layer) < 0), None)
    full = next((layer for layer in range(model.n_layers) if layer not in model.sliding_layers), moe)

    def series(
        device: str, kind: Kind, tokens: tuple[int, ...], layer: int = moe, expert: int = NO_EXPERT,
        phase: str = "any", context: int = 0,
    ) -> Series:  # fmt: skip
        name = kind.name.lower()
        return Series(
            device, kind, phase, kernel_shape(model, name, layer, expert), kernel_precision(precisions, name, expert),
            context, layer, expert, tokens,
        )  # fmt: skip

    yield series("gpu", Kind.EXPERT, TOKENS, expert=0)
    yield series("cpu", Kind.EXPERT, TOKENS, expert=0)
    if model.shared_hidden:
        yield series("gpu", Kind.EXPERT, TOKENS)
    if dense is not None and model.dense_hidden:
        yield series("gpu", Kind.EXPERT, TOKENS, layer=dense)
    for context in CONTEXTS:
        yield series("gpu", Kind.ATTENTION, BATCHES, layer=full, phase="decode", context=context)
    yield series("gpu", Kind.ATTENTION, PROMPTS, layer=full, phase="prefill")
    yield series("gpu", Kind.GATE, TOKENS)
    yield series("gpu", Kind.COMBINE, TOKENS)
    yield series("gpu", Kind.HEAD, BATCHES, layer=model.n_layers - 1)
