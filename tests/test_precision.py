from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import InputError
from sim.precision import PRECISIONS, Precisions, precision, weight_bytes


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("fp32", 32),
        ("bf16", 16),
        ("fp8", 8),
        ("int8", 8),
        ("int4", 4.15625),
        ("mxfp4", 4.25),
        ("q8_0", 8.5),
        ("q6_k", 6.5625),
        ("q5_k", 5.5),
        ("q4_k", 4.5),
        ("q3_k", 3.4375),
        ("q2_k", 2.625),
        ("iq4_xs", 4.25),
        ("iq3_s", 3.4375),
        ("iq3_xxs", 3.0625),
        ("iq2_s", 2.5625),
        ("iq2_xs", 2.3125),
        ("iq2_xxs", 2.0625),
        ("iq1_m", 1.75),
        ("iq1_s", 1.5625),
        ("hqq2g16", 3.015625),
    ],
)
def test_bits_a_weight_equal_the_published_ones(name: str, bits: float) -> None:
    assert precision(name).bits == bits


def test_codes_of_saved_schedules_never_move() -> None:
    saved = [
        "fp32",
        "bf16",
        "fp16",
        "fp8",
        "int8",
        "int4",
        "mxfp4",
        "hqq2g16",
        "hqq3g64",
        "hqq4g64",
        "q8_0",
        "q6_k",
        "q5_k",
        "q4_k",
        "q3_k",
        "q2_k",
        "q5_0",
        "q4_0",
        "iq4_nl",
        "iq4_xs",
        "iq3_s",
        "iq3_xxs",
        "iq2_s",
        "iq2_xs",
        "iq2_xxs",
        "iq1_m",
        "iq1_s",
    ]
    assert list(PRECISIONS)[: len(saved)] == saved
    assert all(name == entry.name for name, entry in PRECISIONS.items())


def test_three_bit_hqq_packs_ten_weights_into_four_bytes() -> None:
    group = 64
    bits = Fraction(32, 10) + Fraction(8 + 8, group) + Fraction(16 + 16, 128 * group)
    assert precision("hqq3g64").bits == pytest.approx(float(bits))
    assert weight_bytes(10 * 128 * group, "hqq3g64") == 10 * 128 * group * bits / 8


@given(params=st.integers(0, 10**13), name=st.sampled_from(sorted(set(PRECISIONS) - {"hqq3g64"})))
def test_bytes_are_the_exact_quotient_rounded_up(params: int, name: str) -> None:
    assert weight_bytes(params, name) == ceil(Fraction(precision(name).bits) * params / 8)


@pytest.mark.parametrize("name", ["bf17", "", None, ["bf16"]])
def test_unknown_precision_is_named_with_the_known_ones(name: object) -> None:
    with pytest.raises(InputError, match=r"precision: unknown precision.*known: fp32, bf16"):
        precision(name)  # type: ignore[arg-type]


def test_weight_bytes_and_precisions_refuse_unknown_names() -> None:
    with pytest.raises(InputError, match="q9_k"):
        weight_bytes(8, "q9_k")
    with pytest.raises(InputError, match="q9_k"):
        Precisions(experts="q4_k", rest="bf16", kv="q9_k")
