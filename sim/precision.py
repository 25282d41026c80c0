"""How many bits a stored weight takes, scales and zero-points included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from sim.errors import InputError


@dataclass(frozen=True, slots=True)
class Precision:
    """A storage format: `bits` is the mean number of stored bits a weight, scales included."""

    name: str
    bits: float


@dataclass(frozen=True, slots=True)
class Precisions:
    """What a run stores its routed experts, all its other weights, and its KV cache in."""

    experts: str
    rest: str
    kv: str

    def __post_init__(self) -> None:
        for name in (self.experts, self.rest, self.kv):
            precision(name)


def _block(size_bytes: int, weights: int) -> float:
    return 8 * size_bytes / weights


# The position of a name is its code in saved schedules: append only.
_BITS: dict[str, float] = {
    "fp32": 32,
    "bf16": 16,
    "fp16": 16,
    # One scale a tensor, a row or a 128 × 128 block: at most 0.05 bit a weight, not counted.
    "fp8": 8,
    "int8": 8,
    # GPTQ and AWQ: groups of 128 share one fp16 scale and one 4-bit zero-point.
    "int4": 4 + (16 + 4) / 128,
    # OCP microscaling: 32 four-bit floats share one 8-bit exponent.
    "mxfp4": _block(17, 32),
    # HQQ with quantised meta-data, as Mixtral-Offloading sets it: an 8-bit scale and an 8-bit zero-point a
    # group, an fp16 scale and zero-point for 128 (4-bit: 256) scales; 3-bit packs 10 weights into 32 bits.
    "hqq2g16": 2 + 16 / 16 + 32 / (128 * 16),
    "hqq3g64": 32 / 10 + 16 / 64 + 32 / (128 * 64),
    "hqq4g64": 4 + 16 / 64 + 32 / (256 * 64),
    # GGUF: the block structs of ggml-common.h, bytes over weights.
    "q8_0": _block(2 + 32, 32),  # fp16 scale, 32 int8
    "q6_k": _block(2 + 16 + 128 + 64, 256),  # fp16 scale, 16 int8 scales, low 4 bits, high 2 bits
    "q5_k": _block(4 + 12 + 128 + 32, 256),  # two fp16, 6-bit scales and minima, low 4 bits, high bit
    "q4_k": _block(4 + 12 + 128, 256),  # two fp16, 6-bit scales and minima, 4 bits
    "q3_k": _block(2 + 12 + 64 + 32, 256),  # fp16, 6-bit scales, low 2 bits, high bit
    "q2_k": _block(4 + 16 + 64, 256),  # two fp16, 4-bit scales and minima, 2 bits
    "q5_0": _block(2 + 4 + 16, 32),  # fp16 scale, high bits, low 4 bits
    "q4_0": _block(2 + 16, 32),  # fp16 scale, 4 bits
    "iq4_nl": _block(2 + 16, 32),  # fp16 scale, 4-bit indices
    "iq4_xs": _block(2 + 2 + 4 + 128, 256),  # fp16, scales high and low, 4-bit indices
    "iq3_s": _block(2 + 64 + 8 + 32 + 4, 256),  # fp16, grid low and high, signs, scales
    "iq3_xxs": _block(2 + 96, 256),  # fp16, grid, signs and scales
    "iq2_s": _block(2 + 64 + 8 + 8, 256),  # fp16, grid low and signs, grid high, scales
    "iq2_xs": _block(2 + 64 + 8, 256),  # fp16, grid and signs, scales
    "iq2_xxs": _block(2 + 64, 256),  # fp16, grid, signs and scales
    "iq1_m": _block(32 + 16 + 8, 256),  # grid low, grid high and shift, scales
    "iq1_s": _block(2 + 32 + 16, 256),  # fp16, grid low, grid high and scales
}

PRECISIONS: Mapping[str, Precision] = MappingProxyType({n: Precision(n, float(b)) for n, b in _BITS.items()})
"""Every known precision by name, in the order of its code in saved schedules."""

# Bytes a weight as exact integers, so that rounding up never sees floating-point noise.
_BYTES_RATIO = {
    name: (Fraction(entry.bits).limit_denominator(1 << 20) / 8).as_integer_ratio() for name, entry in PRECISIONS.items()
}


def precision(name: str) -> Precision:
    """Return the precision called `name`; InputError lists the known names."""
    found = PRECISIONS.get(name) if isinstance(name, str) else None
    if found is None:
        raise InputError("unknown precision", field="precision", value=name, remedy=f"known: {', '.join(PRECISIONS)}")
    return found


def weight_bytes(params: int, name: str) -> int:
    """Return the bytes that `params` weights take in the precision `name`, rounded up to a whole byte."""
    if name not in _BYTES_RATIO:
        precision(name)
    numerator, denominator = _BYTES_RATIO[name]
    return -(-params * numerator // denominator)
